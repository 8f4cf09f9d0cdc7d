# SPDX-License-Identifier: Apache-2.0
"""The statistics beside scipy's: the same questions to both, through a small program that holds our
functions at the end of a pipe. Skipped where neither scipy is installed nor pip can reach it."""

import functools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import unittest
import venv

BUILD = os.environ.get("SONDE_BUILD", "")
PROGRAM = os.path.join(BUILD, "tests", "stats_ask")
MARGIN = 1e-9   # Relative; what is promised of tests.
DIGITS = 1e-12  # Relative; what is promised of distributions.

FOLDER = tempfile.TemporaryDirectory(prefix="sonde-scipy-")  # Goes when Python ends.

# Reads [[expression, [samples]], ...] and answers each with a list of numbers.
PEER = """
import json, sys, warnings
import numpy as np
from scipy import stats, special
warnings.simplefilter("ignore")
for expression, samples in json.load(sys.stdin):
    a, b, c = ([np.array(s, float) for s in samples] + [None] * 3)[:3]
    answer = eval(expression)
    print(json.dumps([float(v) for v in np.atleast_1d(answer)]))
"""


@functools.cache
def find_python(folder):
    """A Python that knows scipy: this one, or one of our own making in folder."""
    if subprocess.run([sys.executable, "-c", "import scipy"], capture_output=True).returncode == 0:
        return sys.executable
    venv.create(folder, with_pip=True)
    python = os.path.join(folder, "bin", "python")
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                           "--timeout", "10", "--retries", "1", "scipy"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest("scipy is not installed and cannot be fetched: "
                                + (done.stderr.strip().splitlines() or ["?"])[-1])
    return python


class Beside(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.access(PROGRAM, os.X_OK):
            raise unittest.SkipTest(f"{PROGRAM} is not built (set SONDE_BUILD)")
        cls.python = find_python(FOLDER.name)

    def compare(self, cases, margin):
        """cases: (our question, places of our answer, scipy's expression, samples)."""
        lines = "".join(f"{name} " + " | ".join(" ".join(repr(float(v)) for v in sample)
                                                for sample in samples) + "\n"
                        for name, _, _, samples in cases)
        ours = subprocess.run([PROGRAM], input=lines, capture_output=True, text=True, check=True)
        asked = json.dumps([[expression, samples] for _, _, expression, samples in cases])
        theirs = subprocess.run([self.python, "-c", PEER], input=asked, capture_output=True,
                                text=True, check=True)
        worst = 0
        answers = zip(cases, ours.stdout.splitlines(), theirs.stdout.splitlines(), strict=True)
        for (name, places, expression, samples), our_line, their_line in answers:
            words = our_line.split()
            for place, wanted in zip(places, json.loads(their_line), strict=True):
                got = float(words[place])
                if got == wanted or (math.isnan(got) and math.isnan(wanted)):
                    continue
                off = abs(got - wanted) / max(abs(wanted), 1e-300)
                worst = max(worst, off)
                self.assertLessEqual(off, margin, f"{name} as {expression} of "
                                     f"{str(samples)[:300]}: {got!r}, wanted {wanted!r}")
        return worst


def samples(seed, sizes, round_to=None, shift=0.3):
    draw = random.Random(seed)
    return [[round(v, round_to) if round_to is not None else v
             for v in (draw.gauss(shift * k, 1) for _ in range(size))]
            for k, size in enumerate(sizes)]


SIZES = [(3, 3), (1, 5), (4, 4), (5, 9), (8, 8), (8, 40), (9, 9), (10, 12), (20, 30), (50, 50),
         (8, 200), (100, 300), (1000, 1500)]


class Tests(Beside):
    def test_mann_whitney_agrees_in_every_regime(self):
        cases = []
        for seed, sizes in enumerate(SIZES * 3):
            pair = samples(seed, sizes)
            cases.append(("mann_whitney", [0, 1],
                          "(lambda r: [r.statistic, r.pvalue])(stats.mannwhitneyu(a, b))", pair))
        for seed, sizes in enumerate(size for size in SIZES if min(size) > 8):
            cases.append(("mann_whitney", [0, 1],
                          "(lambda r: [r.statistic, r.pvalue])(stats.mannwhitneyu(a, b))",
                          samples(seed, sizes, round_to=1)))
        for shift in (1, 3, 10):
            cases.append(("mann_whitney", [1], "[stats.mannwhitneyu(a, b).pvalue]",
                          samples(7, (200, 300), shift=shift)))
        self.compare(cases, MARGIN)

    def test_mann_whitney_with_ties_is_exact_like_the_sum_over_all_splits(self):
        expression = ("(lambda u: [min(1.0, 2 * min(np.mean(u <= u[0] + 1e-9), "
                      "np.mean(u >= u[0] - 1e-9)))])(np.array([stats.rankdata(np.concatenate([a, b]))"
                      "[list(places)].sum() for places in __import__('itertools').combinations("
                      "range(len(a) + len(b)), len(a))]))")
        cases = [("mann_whitney_exact", [1], expression, samples(seed, sizes, round_to=0, shift=1))
                 for seed, sizes in enumerate([(3, 4), (4, 4), (5, 5), (6, 4), (2, 9), (6, 6)] * 3)]
        self.compare(cases, MARGIN)

    def test_exact_for_larger_samples_too(self):
        self.compare([("mann_whitney_exact", [1],
                       "[stats.mannwhitneyu(a, b, method='exact').pvalue]", samples(seed, sizes))
                      for seed, sizes in enumerate([(10, 10), (20, 25), (30, 30)])], MARGIN)

    def test_signed_ranks_agree(self):
        """w is the sum of positive ranks, which scipy tells where one side is asked for."""
        def expression(arguments):
            return (f"[stats.wilcoxon(a, alternative='greater', {arguments}).statistic,"
                    f" stats.wilcoxon(a, {arguments}).pvalue]")
        sizes = (2, 3, 5, 6, 9, 10, 20, 30, 50)
        cases = [("signed_rank", [0, 1], expression("method='exact'"),
                  samples(seed, (size,), shift=0)) for seed, size in enumerate(sizes * 3)]
        cases += [("signed_rank_exact", [0, 1], expression("method='exact'"),
                   samples(seed, (size,))) for seed, size in enumerate((60, 200, 400))]
        rule = "method='approx', correction=True, zero_method='pratt'"
        for digits in (None, 1, 0):  # Without ties, with ties, with ties and zeros.
            cases += [("signed_rank_normal", [0, 1], expression(rule),
                       [[value + shift for value in sample] for sample in
                        samples(seed, (size,), round_to=digits)])
                      for seed, (size, shift) in enumerate(
                          [(12, 0), (30, 1), (51, 0), (100, 0), (1000, 0), (5000, 0)])]
        self.compare(cases, MARGIN)

    def test_signed_ranks_with_ties_and_zeros_are_exact_like_the_sum_over_all_signs(self):
        ranks = "np.where(a == 0, 0, stats.rankdata(abs(a)))"
        expression = (f"(lambda r: (lambda s, u: [min(1.0, 2 * min(np.mean(s <= u + 1e-9),"
                      f" np.mean(s >= u - 1e-9)))])(np.array([np.dot(r, signs) for signs in"
                      f" __import__('itertools').product((0, 1), repeat=len(r))]), r[a > 0].sum()))"
                      f"({ranks})")
        self.compare([("signed_rank", [1], expression, samples(seed, (size,), round_to=0))
                      for seed, size in enumerate((4, 6, 8, 10, 12) * 3)], MARGIN)

    def test_the_shift_between_pairs_is_the_median_of_walsh_averages(self):
        averages = "(np.add.outer(a, a) / 2)[np.triu_indices(len(a))]"
        self.compare([("paired_shift", [0], f"[np.median({averages})]", samples(seed, (size,)))
                      for seed, size in enumerate((1, 2, 7, 20, 51, 300))], MARGIN)
        # R's wilcox.test(conf.int): the order statistics at the quantile of the exact distribution.
        quantile = {6: 1, 10: 9, 20: 53, 30: 138}
        self.compare([("paired_shift", [1, 2],
                       f"(lambda w: [w[{k - 1}], w[-{k}]])(np.sort({averages}))",
                       samples(size, (size,))) for size, k in quantile.items()], MARGIN)

    def test_welch_agrees(self):
        expression = ("(lambda r: [-r.statistic, r.df, r.pvalue])"
                      "(stats.ttest_ind(a, b, equal_var=False))")
        self.compare([("welch", [0, 1, 2], expression, samples(seed, sizes))
                      for seed, sizes in enumerate(s for s in SIZES if min(s) > 1)], MARGIN)

    def test_kolmogorov_smirnov_agrees(self):
        expression = "(lambda r: [r.statistic, r.pvalue])(stats.ks_2samp(a, b, method='exact'))"
        self.compare([("kolmogorov_smirnov", [0, 1], expression, samples(seed, sizes))
                      for seed, sizes in enumerate(SIZES)], MARGIN)

    def test_permutation_agrees_where_every_split_is_tried(self):
        expression = ("[stats.permutation_test((a, b), lambda x, y: abs(x.mean() - y.mean()), "
                      "n_resamples=np.inf, alternative='greater').pvalue]")
        self.compare([("permutation", [0], expression, samples(seed, sizes))
                      for seed, sizes in enumerate([(3, 3), (4, 5), (6, 6), (7, 8)])], MARGIN)

    def test_false_discoveries_are_adjusted_alike(self):
        draw = random.Random(3)
        cases = [("adjust", list(range(count)), "stats.false_discovery_control(a)",
                  [[draw.random() ** 3 for _ in range(count)]]) for count in (1, 2, 7, 50)]
        cases.append(("adjust", [0, 1, 2, 3], "stats.false_discovery_control(a)",
                      [[0.01, 0.01, 0.5, 0.5]]))
        self.compare(cases, DIGITS)

    def test_descriptions_agree(self):
        expression = ("[a.mean(), a.std(ddof=1), np.median(a), stats.median_abs_deviation(a), "
                      "*np.quantile(a, [0.25, 0.75]), stats.trim_mean(a, 0.1)]")
        self.compare([("describe", list(range(7)), expression, [samples(seed, (size,))[0]])
                      for seed, size in enumerate([2, 3, 10, 11, 100, 1001])], DIGITS * 10)

    def test_slopes_agree(self):
        draw = random.Random(5)
        cases = []
        for count in (10, 100, 1000):
            times = sorted(draw.random() * 100 for _ in range(count))
            cases.append(("theil_sen", [0], "[stats.theilslopes(b, a).slope]",
                          [times, [0.3 * t + draw.gauss(0, 5) for t in times]]))
        cases.append(("kendall", [1], "[stats.kendalltau(np.arange(len(a)), a).statistic]",
                      [[round(draw.gauss(0.05 * i, 1), 1) for i in range(80)]]))
        self.compare(cases, MARGIN)

    def test_bootstrap_intervals_agree_within_their_chance(self):
        draw = random.Random(8)
        data = [draw.expovariate(1) for _ in range(40)]
        expression = ("(lambda i: [i.low, i.high])(stats.bootstrap((a,), np.mean, n_resamples=20000,"
                      " method='BCa', rng=np.random.default_rng(1)).confidence_interval)")
        self.compare([("bootstrap", [0, 1], expression, [data])], 0.02)


class Distributions(Beside):
    def table(self, name, expression, rows, margin=DIGITS):
        self.compare([(name, [0], f"[{expression}]", [list(row)]) for row in rows], margin)

    def test_normal(self):
        self.table("normal_sf", "special.ndtr(-a[0])", [(x / 4,) for x in range(-40, 120)])
        self.table("normal_quantile", "special.ndtri(a[0])",
                   [(p,) for p in (1e-300, 1e-20, 1e-5, 0.01, 0.025, 0.3, 0.7, 0.975, 0.999)])

    def test_student(self):
        rows = [(t, df) for t in (-5, -1, 0, 0.1, 1, 1.96, 3, 10, 30)
                for df in (1, 2, 3.7, 10, 58.2, 1000, 2e6)]
        self.table("student_sf", "stats.t.sf(a[0], a[1])", rows)
        self.table("student_quantile", "stats.t.ppf(a[0], a[1])",
                   [(p, df) for p in (0.9, 0.975, 0.995, 0.02) for df in (1, 4, 30, 500)], 1e-10)

    def test_beta_and_its_kin(self):
        self.table("beta_cdf", "special.betainc(a[1], a[2], a[0])",
                   [(x, a, b) for x in (0.01, 0.2, 0.5, 0.77) for a in (0.5, 1, 7, 120)
                    for b in (0.5, 3, 40)])
        self.table("fisher_sf", "stats.f.sf(a[0], a[1], a[2])",
                   [(f, d1, d2) for f in (0.3, 1, 2.5, 9) for d1 in (1, 4, 30) for d2 in (3, 50)])
        self.table("binomial_cdf", "stats.binom.cdf(a[0], a[1], a[2])",
                   [(k, n, 0.5) for n in (6, 30, 501) for k in (0, 1, n // 3, n // 2)])

    def test_gamma_and_kolmogorov(self):
        self.table("gamma_sf", "special.gammaincc(a[1], a[0])",
                   [(x, s) for x in (0.1, 1, 5, 30, 200) for s in (0.5, 1, 3.3, 25, 150)])
        self.table("chi_square_sf", "stats.chi2.sf(a[0], a[1])",
                   [(x, k) for x in (0.5, 3, 10, 60) for k in (1, 2, 9, 40)])
        self.table("kolmogorov_sf", "special.kolmogorov(a[0])",
                   [(x / 10,) for x in range(2, 40)])


if __name__ == "__main__":
    unittest.main()
