# Who asks to wait gets the next free unit, in the order of asking (R5, R6).
open    stock=1 ttl=1000 waitlist=2 => ok
acquire ana at=0                => acquired slot=1 until=1000
acquire ben wait at=1           => waiting position=1 slot=2
acquire cyn wait at=2           => waiting position=2 slot=3
acquire dan wait at=3           => waitlist_full
acquire dan at=4                => sold_out
acquire cyn wait at=5           => waiting position=2 slot=3
acquire cyn at=6                => waiting position=2 slot=3
leave   ben at=7                => ok
leave   ben at=8                => not_waiting
acquire cyn at=9                => waiting position=1 slot=3
acquire ben wait at=10          => waiting position=2 slot=4
release ana slot=1 at=11        => ok
get     slot=3 at=11            => active remaining=1000
acquire ana at=12               => sold_out
expire  at=1011                 => expired slot=3 auto_expired, acquired slot=4 until=2011
stock   +1 at=1012              => ok
acquire ana at=1013             => acquired slot=5 until=2013
stock   -1 at=1014              => stock least=2
