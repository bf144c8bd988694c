"""The script of docs/fastreid.md, as it stands there, with a smaller network."""

import re
from pathlib import Path

from configs import TINY

PAGE = (Path(__file__).parents[2] / "docs" / "fastreid.md").read_text(encoding="utf-8")
SHORT = {
    **TINY,
    "MODEL.HEADS.NUM_CLASSES": 0,
    "MODEL.HEADS.PARTS.COUNT": 2,
    "SOLVER.MAX_EPOCH": 1,
    "DATALOADER.MAX_BATCHES_PER_EPOCH": 2,
    "DATASETS.TRIALS": 2,
}
FILE = 'cfg.merge_from_file("pmcm/demo")\n'


def test_the_script_trains_and_searches(datasets, tmp_path, monkeypatch, capsys):
    """Each infrared image is given a visible one."""
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(script.splitlines()) < 30 and FILE in script
    monkeypatch.chdir(tmp_path)
    options = [item for pair in SHORT.items() for item in pair]
    exec(script.replace(FILE, f"{FILE}cfg.merge_from_list(options)\n"), {"options": options})
    found = re.findall(r"^(\S+) is most like (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(found) == 3
    assert all(re.search("cam[36]/", query) and re.search("cam[1245]/", match) for query, match in found)
    assert (tmp_path / "logs" / "demo" / "model_final.pth").is_file()
