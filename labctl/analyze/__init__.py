"""Judgement: convergence, loss windows, route comparison, verdicts. A pure function of what was measured."""
