"""The page without a browser."""

import asyncio

import pytest

gradio = pytest.importorskip("gradio", reason="the page needs gradio (extra page)")

import pmcm  # noqa: E402, F401  (registers what mixes images)
from small_page import build_page, make_content  # noqa: E402


def test_an_address_in_place_of_an_upload_is_not_fetched(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **_: asked.append(args) or [])
    page = build_page(make_content(tmp_path))
    images = [block for block in page.blocks.values() if isinstance(block, gradio.Image)]
    assert len(images) >= 3
    for block in images:
        with pytest.raises(gradio.Error, match="the page does not fetch one from an address"):
            asyncio.run(block.async_move_resource_to_block_cache("http://example.com/a.png"))
    assert asked == []
