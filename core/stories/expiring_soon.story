# One warning for each slot before its deadline (R12).
open    stock=1 ttl=1000 soon=300 => ok
acquire ana at=0                => acquired slot=1 until=1000
expire  at=699                  => nothing
expire  at=700                  => expiring_soon slot=1 until=1000
expire  at=701                  => nothing
expire  at=1000                 => expired slot=1 auto_expired
