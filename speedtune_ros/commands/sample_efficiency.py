"""speedtune sample-efficiency: what a speed policy has learned after so many decisions."""

from __future__ import annotations

import argparse

from speedtune_ros.evaluation.arguments import Bar
from speedtune_ros.evaluation.study_arguments import add_arguments, numbers, study_of, write_results

HELP = "success and acceleration after 2k to 100k decisions: a table, JSON and a picture; continues where it was killed"
NAME = "sample-efficiency"
MARKS = "2000,5000,10000,20000,50000,100000"


def configure(parser: argparse.ArgumentParser) -> None:
    words = f"numbers of decisions (default: {MARKS})"
    parser.add_argument("--decisions", default=MARKS, metavar="N,N,..", help=words)
    add_arguments(parser, NAME, training_seeds="0,1,2")


def run(args: argparse.Namespace) -> int:
    from speedtune_ros.evaluation import sample_efficiency
    from speedtune_ros.evaluation.study_table import efficiency_table
    from speedtune_ros.report.efficiency_figure import efficiency_figure

    marks = sample_efficiency.checked_marks(numbers(args.decisions, "--decisions"))
    with Bar() as bar:
        study = study_of(args, NAME, bar, decisions=marks[-1])
        about = {key: getattr(study.config, key) for key in ("task", "policy")}
        for line in sample_efficiency.run(study, marks):
            bar.close()
            print(line, flush=True)
            rows = sample_efficiency.rows(study, marks)
            content = {**about, "sample_efficiency": rows}
            write_results(study.out, NAME, content, efficiency_table(rows), efficiency_figure(rows))
    print(f"written to {study.out}: {NAME}.json, {NAME}.md, {NAME}.png")
    return 0
