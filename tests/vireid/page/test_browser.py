"""The page in a headless Chromium: one server, and a fresh tab for each test.

Every request that leaves this server is refused, and fails the test.
"""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the page needs gradio (extra page)")
sync_api = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")

import pmcm  # noqa: E402, F401  (registers what mixes images)
from small_page import make_content, picture, served  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)}")
WAIT = 30_000  # milliseconds; a busy machine takes seconds for a click


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return make_content(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def address(content):
    with served(content) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_tab(browser, address):
    """A function that opens the page: options of a browser's context -> its tab."""
    contexts, outside = [], []

    def open_(address=address, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(WAIT)

        def refuse(route):
            outside.append(route.request.url)
            route.abort()

        context.route(lambda url: not url.startswith((address, "data:", "blob:")), refuse)
        contexts.append(context)
        tab = context.new_page()
        tab.goto(address)
        tab.wait_for_selector("#query input[type=file]", state="attached")
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert outside == []


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def upload(tab, name, content, place="query"):
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    tab.set_input_files(f"#{place} input[type=file]", file)


def captions(tab):
    return [text.split("\n") for text in tab.locator("#results .caption-label").all_inner_texts()]


def wait_for_captions(tab, wanted):
    """Wait until the captions, without their scores, are these; the last ones that there were."""
    for _ in range(WAIT // 100):
        found = captions(tab)
        if [lines[1:] for lines in found] == wanted:
            return found
        tab.wait_for_timeout(100)
    raise AssertionError(f"{found} are not {wanted}; {tab.locator('#said').inner_text()}")


def expected(content, image, top=12, **conditions):
    """Camera, person and time of what the gallery answers."""
    return [
        [f"camera {match.camera}", f"id {match.identity}", f"{match.time:%Y-%m-%d %H:%M}"]
        for match in content.finder.gallery.search(image, top, **conditions)
    ]


def set_number(tab, place, value):
    field = tab.locator(f"#{place} input[type=number]")
    field.fill(str(value))
    field.press("Enter")


def shown_image(tab, place):
    source = tab.locator(f"#{place} img").get_attribute("src")
    with Image.open(io.BytesIO(tab.request.get(source).body())) as image:
        return np.asarray(image.convert("RGB"))


def test_an_uploaded_image_is_searched_for_and_results_are_filtered(open_tab, content):
    tab, query = open_tab(), picture((60, 150, 70), 9)
    upload(tab, "query.png", png(query))
    found = wait_for_captions(tab, expected(content, query))
    assert found[0][0].startswith("1. score ") and found[0][2] == "id 0002"
    assert "12 of 24 images, best first" in tab.locator("#said").inner_text()

    set_number(tab, "top", 5)
    wait_for_captions(tab, expected(content, query, 5))
    tab.locator("#cameras input").click()
    tab.get_by_role("option", name="4").click()
    wait_for_captions(tab, expected(content, query, 5, camera="4"))
    tab.locator("#after textarea, #after input").fill("2026-01-02")
    tab.keyboard.press("Enter")
    wait_for_captions(tab, expected(content, query, 5, camera="4", after="2026-01-02"))
    tab.locator("#before textarea, #before input").fill("yesterday")
    tab.keyboard.press("Enter")
    tab.get_by_text("before is 'yesterday'; expected a time such as 2026-01-31").wait_for()
    assert captions(tab) == []


def test_a_click_opens_a_result_beside_the_query_and_searches_by_it(open_tab, content):
    tab = open_tab()
    tab.locator("#examples button").first.click()
    with Image.open(content.examples[0]) as example:
        found = wait_for_captions(tab, expected(content, example))
    gallery = content.finder.gallery
    last = gallery.search(content.examples[0], 12)[11]
    assert [f"id {last.identity}"] == found[11][2:3]
    tab.locator("#results button").nth(11).click()
    tab.get_by_text(f"12. score {last.score:.3f} · camera {last.camera}").wait_for()
    for place, path in (("opened-query", content.examples[0]), ("opened-result", last.path)):
        with Image.open(path) as image:
            large = image.convert("RGB").resize((5 * image.width, 5 * image.height), Image.Resampling.LANCZOS)
        tab.locator(f"#{place} img").wait_for()
        assert (shown_image(tab, place) == np.asarray(large)).all()
    tab.get_by_role("button", name="Close").click()
    tab.locator("#opened").wait_for(state="hidden")
    tab.locator("#results button").nth(11).click()
    tab.get_by_role("button", name="Search by this result").click()
    found = wait_for_captions(tab, expected(content, last.path))
    assert found[0][0] == "1. score 1.000"
    with Image.open(last.path) as image:
        assert (shown_image(tab, "query") == np.asarray(image)).all()
    assert not tab.locator("#opened").is_visible()


def test_several_images_are_one_query(open_tab, content):
    tab, first = open_tab(), picture((60, 150, 70), 9)
    others = [picture((200, 60, 60), seed) for seed in (1, 2)]
    upload(tab, "first.png", png(first))
    wait_for_captions(tab, expected(content, first))
    files = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": png(o)} for n, o in enumerate(others)]
    tab.set_input_files("#more input[type=file]", files)
    wait_for_captions(tab, expected(content, [first, *others]))
    tab.locator("#query button[aria-label^=Remove], #query button[aria-label^=Clear]").first.click()
    wait_for_captions(tab, expected(content, others))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """What a page shows that has a threshold, and a track for each person before each camera."""
    content = make_content(tmp_path_factory.mktemp("calibrated"))
    gallery = content.finder.gallery
    folder = content.pair[0].parents[2]
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    table = folder.parent / "table.csv"
    rows = [f"{path},{path.parts[0]}_t{path.parts[1]}" for path in paths]
    table.write_text("\n".join(["path,track", *rows]))
    gallery.index(folder, table=table)
    gallery.calibrate([0.3])
    with served(content) as address:
        yield content, address


def test_the_threshold_is_a_line_and_a_track_is_one_card(open_tab, calibrated):
    (content, address), query = calibrated, picture((60, 150, 70), 9)
    tab = open_tab(address)
    tab.locator("#by").get_by_text("track").click()
    tab.locator("#rate").get_by_text("30 %").click()
    upload(tab, "query.png", png(query))
    answer = content.finder.gallery.answer(query, 12, by="track", false_alarms=0.3)
    above = [match.track for match in answer.matches if not match.nobody]
    below = [match.track for match in answer.matches if match.nobody]
    assert len(above) >= 3 and len(below) >= 3 and len({*above, *below}) == 12
    tab.get_by_text(str(answer.threshold)).wait_for()
    for place, tracks in (("results", above), ("below", below)):
        tab.locator(f"#{place} .caption-label").nth(len(tracks) - 1).wait_for()
        texts = tab.locator(f"#{place} .caption-label").all_inner_texts()
        assert [text.split("track ")[1].split("\n")[0] for text in texts] == tracks
    top, line, bottom = (tab.locator(place).bounding_box()["y"] for place in ("#results", ".line", "#below"))
    assert top < line < bottom
    tab.locator("#below button").first.click()
    tab.get_by_text(f"{len(above) + 1}. score ").last.wait_for()


def test_the_slider_mixes_two_images(open_tab):
    tab = open_tab()
    tab.get_by_role("tab", name="Mix").click()
    tab.get_by_text("50% of the patches are the visible image's.").wait_for()
    colored = {}
    for share, said in ((0, "0%"), (0.25, "25%"), (1, "100%")):
        set_number(tab, "share", share)
        tab.get_by_text(f"{said} of the patches are the visible image's.", exact=True).wait_for()
        pixels = shown_image(tab, "mixed").astype(int)
        colored[share] = float(((pixels.max(axis=2) - pixels.min(axis=2)) > 60).mean())
    assert colored == {0: 0, 0.25: 0.25, 1: 1}
    tab.get_by_role("button", name="Search by the mixed image").click()
    tab.locator("#results .caption-label").first.wait_for()
    assert captions(tab)[0][2] == "id 0001"


@pytest.mark.parametrize(
    ("name", "content_of", "said"),
    [
        ("notes.png", lambda: b"no image at all", "notes.png: the image cannot be read (it is no image"),
        ("half.png", lambda: png(picture((9, 99, 9), 0))[:900], "half.png: the image cannot be read"),
        (
            "<b>wide.png",
            lambda: png(Image.new("L", (2000, 1000))),
            "<b>wide.png: the image cannot be read (it has 2000 x 1000 pixels; at most 1,000,000 are read)",
        ),
    ],
    ids=["text", "truncated", "pixels"],
)
def test_a_file_that_is_no_image_is_one_line(open_tab, name, content_of, said):
    tab = open_tab()
    upload(tab, name, content_of())
    alert = tab.locator("#said [role=alert]")
    alert.wait_for()
    assert alert.inner_text().startswith(said)
    assert captions(tab) == []
    upload_again = tab.locator("#query input[type=file]")
    if upload_again.count():  # after an error the next image is welcome
        upload(tab, "query.png", png(picture((60, 150, 70), 9)))
        tab.locator("#results .caption-label").first.wait_for()


def test_figures_of_the_run(open_tab):
    tab = open_tab()
    tab.get_by_role("tab", name="Figures").click()
    tab.get_by_label("training curves").click()
    tab.locator("#figure img").wait_for()
    assert shown_image(tab, "figure").std() > 5


def test_a_phone_and_the_dark_theme(open_tab):
    tab = open_tab(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    tab.locator("#examples button").first.click()
    tab.locator("#results .caption-label").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [tab.locator(f"#{place}").bounding_box() for place in ("query", "results")]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]

    tab.locator("#results button").first.click()
    tab.locator("#opened-result img").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [tab.locator(f"#opened-{name}").bounding_box() for name in ("query", "result")]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert boxes[0]["x"] >= 0 and boxes[1]["x"] + boxes[1]["width"] <= 390
    assert tab.locator("button[aria-label*=hare], button[title*=hare]").count() == 0  # to another server

    def brightness(property_):
        color = tab.evaluate(f"getComputedStyle(document.querySelector('.gradio-container')).{property_}")
        return sum(map(float, color.strip("rgba()").split(",")[:3])) / 3

    assert brightness("backgroundColor") < 60 and brightness("color") > 180

    # Refused by the policy, before ``open_tab`` sees it.
    assert (
        tab.evaluate("fetch('http://elsewhere.example/').then(() => 'asked', () => 'refused')") == "refused"
    )
