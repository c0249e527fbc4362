"""A simulation of the world around the converter, to find what may go wrong in it.

    python -m tests.simulation --seed 17              one seed, with its trace if it fails
    python -m tests.simulation --seed 17 --trace      all that happens in it
    python -m tests.simulation --seed 17 --days 30    the same for a month
    make simulate SEEDS=10000                         many seeds
    python -m tests.simulation.mutations              which seeds find which bugs

A seed is a world: accounts and regions, settings, faults. Log files are delivered there as
CloudTrail does it, also late, twice, damaged or into the folder of a day that is over; meanwhile
the function and laptops convert, plan and convert again, are killed, stalled and woken days later.
Then faults end, some quiet daily runs follow, and a plan of what is outdated, and the oracle
judges, which knows what was delivered.

    scheduler     simulated time, and whose turn it is
    faults  s3    a store that all share, and what befalls requests
    deliveries    what CloudTrail delivers, and what becomes of it
    services      Lambda with its retries, the bus, the queue, laptops
    program       the places where the program is reached into
    oracle        what is true
    story         one seed, from its world to its judgement
    mutations     bugs to be found

The converter is the real one from `handler.Function` and `dispatch.convert_all` down: only the
client of the store, clocks, services and telemetry are others.
"""
