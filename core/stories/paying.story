# A slot is held while its payment is in flight, and gets its time back if that fails (R7, R9).
open    stock=1 ttl=1000 window=500 => ok
acquire ana at=0                => acquired slot=1 until=1000
pay     ben slot=1 key=x at=10  => not_holder
pay     ana slot=2 key=x at=10  => no_slot
pay     ana slot=1 key=a at=900 => pending payment=1.1 until=1400
get     slot=1 at=900           => active remaining=500 paying
pay     ana slot=1 key=a at=901 => pending payment=1.1 until=1400
pay     ana slot=1 key=a amount=5 at=901 => idempotency_mismatch
pay     ana slot=1 key=b at=902 => payment_in_progress
release ana slot=1 at=903       => payment_in_progress
expire  at=1000                 => nothing
decline 1.1 at=1100             => failed active
get     slot=1 at=1100          => active remaining=100
decline 1.1 at=1101             => failed active
pay     ana slot=1 key=c at=1150 => pending payment=1.2 until=1500
consume 1.2 at=1160             => success completed
consume 1.2 at=1161             => success completed
decline 1.2 at=1162             => success completed
pay     ana slot=1 key=d at=1170 => slot_completed
acquire ana at=1180             => held slot=1 completed
release ana slot=1 at=1190      => not_active
