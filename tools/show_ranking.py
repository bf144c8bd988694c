#!/usr/bin/env python
"""Draw some queries of a test set with the gallery images that a model ranks first.

A green frame is the query's identity, a red one another; images that the protocol leaves out for a
query are left out here too.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

EXAMPLE = """
example:
  python tools/show_ranking.py --config-file projects/PMCM/configs/sysu.yml --output ranking.png \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def main() -> int:
    """Draw and save; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="the config of the model")
    parser.add_argument("--output", required=True, metavar="FILE.png", help="where the picture goes")
    parser.add_argument("--setting", default="", help="a row of the results table; default: the first")
    parser.add_argument("--queries", type=int, default=6, metavar="N", help="rows (default 6)")
    parser.add_argument("--top", type=int, default=10, metavar="K", help="gallery images a row (default 10)")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config options: KEY VALUE ...")
    args = parser.parse_args()

    from vireid.errors import UserError

    try:
        draw(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def draw(args: argparse.Namespace) -> None:
    """Rank the first trial of the setting and draw queries spread evenly over it."""
    from _configurations import full_config
    from vireid.data import build_dataset, build_test_loader
    from vireid.engine import load_for_evaluation
    from vireid.engine.checks import check_config
    from vireid.engine.extraction import extract_features
    from vireid.errors import ConfigError, choices
    from vireid.visualize.ranking import draw_ranking, nearest_gallery

    logging.basicConfig(level=logging.WARNING)
    cfg = full_config(args.config_file, args.opts)
    check_config(cfg)
    model = load_for_evaluation(cfg)
    dataset = build_dataset(cfg, cfg.DATASETS.TESTS[0])
    settings = {setting.name: setting for setting in dataset.settings(1)}
    name = args.setting or next(iter(settings))
    if name not in settings:
        raise ConfigError(f"--setting {name!r}: {choices(name, settings)}")
    trial = settings[name].trials[0]
    rows = np.linspace(0, len(trial.query) - 1, min(args.queries, len(trial.query))).astype(int)
    queries, gallery = ([dataset.test[i] for i in part] for part in (trial.query[rows], trial.gallery))

    features = extract_features(model, build_test_loader(cfg, [*queries, *gallery]))["image"]
    features = features / features.norm(dim=1, keepdim=True)
    dist = (1 - features[: len(queries)] @ features[len(queries) :].T).numpy()
    exclude = trial.exclude()
    nearest = nearest_gallery(dist, None if exclude is None else exclude[rows], args.top)
    picture = draw_ranking(
        [item.path for item in queries],
        [[gallery[i].path for i in row] for row in nearest],
        [[gallery[i].pid == query.pid for i in row] for query, row in zip(queries, nearest)],
    )
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    picture.save(args.output)
    print(f"{args.output}: {name}, {len(queries)} of {len(trial.query)} queries")


if __name__ == "__main__":
    sys.exit(main())
