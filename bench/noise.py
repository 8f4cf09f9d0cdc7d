# SPDX-License-Identifier: Apache-2.0
"""Runs as machines make them: what verdicts are tried on. Every kind draws runs about 1."""
import math
import statistics


def memory(draw, correlation, count):
    """A series of unit scatter in which each value leans on the one before."""
    here = draw.gauss(0, 1)
    for _ in range(count):
        yield here
        here = correlation * here + math.sqrt(1 - correlation ** 2) * draw.gauss(0, 1)


def lognormal(draw, share, shared):
    return [math.exp(share * draw.gauss(0, 1)) for _ in shared]


def long_tails(draw, share, shared):
    """Student's t with two degrees of freedom, whose variance is infinite."""
    return [max(0.05, 1 + share * draw.gauss(0, 1) / math.sqrt(draw.gammavariate(1, 1)))
            for _ in shared]


def two_hills(draw, share, shared):
    """Three runs in ten take a path that is a fifth dearer."""
    return [(1.2 if draw.random() < 0.3 else 1) * (1 + share / 3 * draw.gauss(0, 1))
            for _ in shared]


def remembering(draw, share, shared):
    return [1 + share * value for value in memory(draw, 0.6, len(shared))]


def same_machine(draw, share, shared):
    """Half of the variance comes from what all metrics of the machine meet, and has a memory."""
    return [1 + share * math.sqrt(0.5) * (value + draw.gauss(0, 1)) for value in shared]


KINDS = {"lognormal": lognormal, "long tails": long_tails, "two hills": two_hills,
         "neighbours correlate by 0.6": remembering, "same machine": same_machine}


def result(draw, kinds, runs, share=None, factor=1):
    """A result of as many metrics as kinds; the first is `factor` times as large. Without a share
    metrics scatter by 2 to 10 %."""
    shared = list(memory(draw, 0.5, runs))
    return {f"metric{i}": [100 * (i + 1) * (factor if i == 0 else 1) * value for value in
                           kind(draw, share or 0.02 * (1 + i // len(KINDS) % 5), shared)]
            for i, kind in enumerate(kinds)}


# ---- The limit: who knows the noise, and estimates nothing but the shift. ----

def independent_runs(correlations):
    """How many independent runs say as much of the mean: 1'S1, S the inverse of the correlations.
    Gauss' elimination."""
    rows = [[*line, 1.0] for line in correlations]
    for i, pivot in enumerate(rows):
        for line in rows[i + 1:]:
            factor = line[i] / pivot[i]
            for k in range(i, len(line)):
                line[k] -= factor * pivot[k]
    return sum(row[-1] ** 2 / row[i] for i, row in enumerate(rows))


def falling(count, correlation, share=1):
    return [[1 if i == j else share * correlation ** abs(i - j) for j in range(count)]
            for i in range(count)]


# The information of a kind about its centre, in runs of a normal with its share for deviation.
# Student's t with f degrees of freedom has (f + 1) / (f + 3) of that; hills so far apart tell which
# path a run took, and what is left scatters by a third.
INFORMATION = {"lognormal": lambda runs: runs, "long tails": lambda runs: 0.6 * runs,
               "two hills": lambda runs: 9 * runs,
               "neighbours correlate by 0.6": lambda runs: independent_runs(falling(runs, 0.6)),
               "same machine": lambda runs: independent_runs(falling(runs, 0.5, 0.5))}


def detectable(kind, runs, share, factor, alpha):
    """The chance that an oracle's two-sided test sees the shift at alpha."""
    normal = statistics.NormalDist()
    distance = math.log(factor) / share * math.sqrt(INFORMATION[kind](runs) / 2)
    return normal.cdf(distance - normal.inv_cdf(1 - alpha / 2))
