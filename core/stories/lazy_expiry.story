# No sweep is needed: whoever asks finds the state of this millisecond (R4).
open    stock=1 ttl=1000        => ok
acquire ana at=0                => acquired slot=1 until=1000
acquire ana at=999              => held slot=1 active
acquire ana at=1000             => acquired slot=2 until=2000
pay     ana slot=1 key=k at=1001 => slot_expired
acquire ben at=2000             => acquired slot=3 until=3000
