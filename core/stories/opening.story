# A sale opens at its date, pauses, resumes and closes (R11).
open    stock=2 date=1000       => ok
sale    at=999                  => upcoming stock=2 active=0 completed=0 waiting=0
acquire ana at=999              => not_open opens=1000
acquire ana at=1000             => acquired slot=1 until=1801000
pause   at=1001                 => ok
acquire ben at=1002             => paused
acquire ana at=1002             => held slot=1 active
pay     ana slot=1 key=k at=1003 => pending payment=1.1 until=301003
consume 1.1 at=1004             => success completed
resume  at=1005                 => ok
acquire ben at=1006             => acquired slot=2 until=1801006
close   at=1007                 => ok
acquire cyn at=1008             => closed
resume  at=1009                 => closed
drop    at=1010                 => in_use
release ben slot=2 at=1011      => ok
drop    at=1012                 => ok
acquire ana at=1013             => no_sale
