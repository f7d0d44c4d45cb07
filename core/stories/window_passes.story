# A payment without an outcome fails when its window passes; the slot gets its time back (R7), then R4 applies.
open    stock=1 ttl=1000 window=500 => ok
acquire ana at=0                => acquired slot=1 until=1000
pay     ana slot=1 key=a at=400 => pending payment=1.1 until=900
get     slot=1 at=900           => active remaining=600
expire  at=900                  => payment_failed 1.1 timeout until=1500
expire  at=1499                 => expiring_soon slot=1 until=1500
expire  at=1500                 => expired slot=1 auto_expired
