# The last unit goes to the first asker; a freed unit to the next (R1, R2, R4, R5).
open    stock=1                 => ok
acquire ana at=0                => acquired slot=1 until=1800000
acquire ben at=1                => sold_out
acquire ana at=2                => held slot=1 active
expire  at=1799999              => expiring_soon slot=1 until=1800000
get     slot=1 at=1799999       => active remaining=1
get     slot=1 at=1800000       => expired remaining=0
sale    at=1800000              => on_sale stock=1 active=0 completed=0 waiting=0
expire  at=1800000              => expired slot=1 auto_expired
acquire ben at=1800000          => acquired slot=2 until=3600000
acquire ana at=1800001          => sold_out
