# A request says which of the user's slots it means; a retry never takes a second (R3, R9).
open    stock=5 limit=2 ttl=1000 => ok
acquire ana at=0                => acquired slot=1 until=1000
acquire ana at=1                => held slot=1 active
acquire ana nth=2 at=2          => acquired slot=2 until=1002
acquire ana nth=2 at=3          => held slot=2 active
acquire ana nth=3 at=4          => limit
release ana slot=1 at=5         => ok
acquire ana nth=2 at=6          => held slot=2 active
acquire ana at=7                => acquired slot=3 until=1007
acquire ana nth=2 at=1002       => acquired slot=4 until=2002
acquire ana nth=2 at=1003       => held slot=4 active
