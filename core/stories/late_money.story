# Late money completes its slot, revives it, or goes back; it is never lost (R8).
open    stock=1 ttl=1000 window=100 => ok
acquire ana at=0                => acquired slot=1 until=1000
pay     ana slot=1 key=a at=0   => pending payment=1.1 until=100
expire  at=100                  => payment_failed 1.1 timeout until=1100
consume 1.1 at=200              => success completed
open    stock=1 ttl=1000 window=100 => ok
acquire ana at=0                => acquired slot=1 until=1000
pay     ana slot=1 key=a at=950 => pending payment=1.1 until=1050
expire  at=2000                 => payment_failed 1.1 timeout until=1100, expired slot=1 auto_expired
acquire ben at=2001             => acquired slot=2 until=3001
consume 1.1 at=2002             => refund_due expired
consume 1.1 at=2003             => refund_due expired
open    stock=1 ttl=1000 window=100 => ok
acquire ana at=0                => acquired slot=1 until=1000
pay     ana slot=1 key=a at=950 => pending payment=1.1 until=1050
consume 1.1 at=2000             => success completed
sale    at=2001                 => sold_out stock=0 active=0 completed=1 waiting=0
consume 1.1 seal=00000000000000ff at=2002 => refund_due unknown
consume 1.1 seal=00000000000000ff at=2003 => refund_due unknown
decline 7.1 seal=00000000000000ff at=2004 => no_payment
audit                           => refunds=1
