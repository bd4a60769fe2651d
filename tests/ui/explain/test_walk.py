"""A walk through the lesson in a real browser: its numbers are compared with the engine's."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from nst.explain import channels
from nst.explain.look import Look, look_at
from nst.ui.explain import views
from nst.ui.server import examples
from tests.browsing import PHONE, WAIT_MS, visit

K, M = views.first_pair()
LAYER = views.FIRST_LAYER
WITH_MANY_ELEMENTS = ("matrix", "know", "try")  # axe takes seconds for each step
FASTEST_S = 1 / 20  # of an answer to the pointer


@pytest.fixture(scope="module")
def look() -> Look:
    return look_at(examples.first_sight()[1])


def open_step(page: Page, step: str) -> None:
    page.locator("#style-tab-button").click()
    page.locator(f"#step-{step}-button").click()


def shown(page: Page, name: str, view: str = "pair") -> float:
    return float(page.locator(f"#view-{view} [data-name='{name}']").last.get_attribute("data-value"))


def point_at(page: Page, look: Look, row: int, column: int, stack: int = 0, view: str = "pair") -> None:
    face = page.locator(f"#view-{view} .face").nth(stack).bounding_box()
    width, height = look.picture.size
    x, y = face["x"] + (4 * column + 2) / width * face["width"], face["y"] + (4 * row + 2) / height * face["height"]
    page.mouse.move(x, y)


def test_numbers_under_the_pointer_are_the_engines(opened: Page, look: Look) -> None:
    open_step(opened, "pair")
    expect(opened.locator("#view-pair .readout b").first).to_be_visible(timeout=WAIT_MS)
    opened.wait_for_timeout(500)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url) if "heartbeat" not in request.url else None)
    block = look.block(LAYER)
    a, b = (block[0, channel].double().numpy() for channel in (K, M))
    opened.locator("#view-pair .face").first.scroll_into_view_if_needed()
    for stack, (row, column) in enumerate(((10, 20), (40, 33), (60, 90))):
        point_at(opened, look, row, column, stack)
        assert shown(opened, "k") == pytest.approx(a[row, column], abs=1e-4 * a.max())
        assert shown(opened, "m") == pytest.approx(b[row, column], abs=1e-4 * b.max())
        product = a[row, column] * b[row, column]
        assert shown(opened, "product") == pytest.approx(product, abs=1e-4 * (a * b).max())

    point_at(opened, look, 20, 30)
    opened.mouse.down()
    point_at(opened, look, 50, 80)
    opened.mouse.up()
    partial = (a * b)[20:51, 30:81].sum()
    assert shown(opened, "partial") == pytest.approx(partial, rel=1e-3)
    expect(opened.locator("#view-pair .sum")).to_contain_text(f"{31 * 51} of {a.size} positions")
    opened.locator("#view-pair input[type=range]").focus()
    opened.keyboard.press("End")
    assert shown(opened, "partial") == pytest.approx(channels.matrix(block)[K, M], rel=1e-3)

    opened.locator("#view-pair .face").first.focus()
    point_at(opened, look, 10, 20)
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Shift+ArrowRight")
    assert shown(opened, "k") == pytest.approx(a[11, 30], abs=1e-4 * a.max())
    answer_s = opened.evaluate(
        """() => {
            const face = document.querySelector("#view-pair .face"), box = face.getBoundingClientRect();
            const told = document.querySelector("#view-pair .readout"), begin = performance.now();
            const seen = new Set();
            for (let step = 0; step < 100; step++) {
                const at = { clientX: box.x + 2 + step, clientY: box.y + 2 + step, bubbles: true };
                face.dispatchEvent(new PointerEvent("pointermove", at));
                seen.add(told.textContent);
                face.offsetWidth;
            }
            if (seen.size < 20) throw new Error(`only ${seen.size} answers`);
            return (performance.now() - begin) / 100000;
        }"""
    )
    assert answer_s < FASTEST_S
    assert asked == [], "no request per move"


def test_a_cell_of_the_matrix_is_chosen_and_everything_follows(opened: Page, look: Look) -> None:
    open_step(opened, "matrix")
    view = opened.locator("#view-matrix")
    expect(view.locator(".choice[aria-pressed='true']")).to_have_text(f"{K} and {M}", timeout=WAIT_MS)
    entries = channels.matrix(look.block(LAYER))
    assert shown(opened, "entry", "matrix") == pytest.approx(entries[K, M], rel=1e-3)
    view.locator(".tile").nth(3).click()
    expect(view.locator("figcaption").first).not_to_have_text(f"k = {K}", timeout=WAIT_MS)
    expect(view.locator(".choice[aria-pressed='true']")).to_have_count(0)
    k, m = (int(caption.split("= ")[1]) for caption in view.locator("figcaption").all_inner_texts()[:2])
    assert shown(opened, "entry", "matrix") == pytest.approx(entries[k, m], rel=1e-3)
    expect(view.locator(".readout")).to_contain_text(f"k = {k}, k' = {m}")
    ticks = view.locator(".ticks span").all_inner_texts()
    assert ticks[-1].replace(" ", "")[:3] == f"{entries.max():.1e}"[:3], "the bar ends at the largest entry"
    expect(opened.locator("#steps")).to_have_attribute("aria-busy", "false")
    opened.evaluate(
        """() => new MutationObserver(seen => (window.busy = seen.map(() => steps.getAttribute("aria-busy"))))
            .observe(document.querySelector("#steps"), { attributeFilter: ["aria-busy"] })"""
    )
    view.locator("select").first.select_option("correlation")
    expect(view.locator(".small")).to_contain_text("from -1 to 1", timeout=WAIT_MS)
    assert opened.evaluate("() => window.busy !== undefined"), "a waiting sign for what takes a moment"
    expect(opened.locator("#steps")).to_have_attribute("aria-busy", "false")


def test_every_step_opens_filled_and_fits(browser, address: str) -> None:
    """On a phone in the dark: nothing is empty, nothing is wider than the screen, and axe finds nothing serious."""
    context = browser.new_context(viewport=PHONE, color_scheme="dark", has_touch=True, reduced_motion="reduce")
    page = context.new_page()
    visit(page, address)
    filled = {
        "channels": "#view-channel .readout b", "pair": "#view-pair .sum b", "matrix": "#view-matrix .tile.here",
        "cost": "#view-cost .costs b", "know": "#textures img", "try": "#view-toy .toy-matrix span",
    }  # fmt: skip
    assert set(filled) == set(views.STEPS)
    for step, content in filled.items():
        open_step(page, step)
        expect(page.locator(content).first).to_be_visible(timeout=WAIT_MS)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], step
        if step in WITH_MANY_ELEMENTS:
            found = Axe().run(page, "#style-tab").response["violations"]
            serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], step
        face = page.locator(f"#view-{step} .face").first
        if face.count():
            assert face.bounding_box()["y"] < PHONE["height"] / 2 + 60, f"what {step} asks for is seen at once"
    page.locator("#view-toy input").first.fill("5")
    assert page.locator("#view-toy [data-entry='00']").inner_text() == str(25 + 9 + 1 + 9)
    page.locator("#view-toy button").first.click()
    assert page.locator("#view-toy [data-entry='00']").inner_text() == str(25 + 9 + 1 + 9), "positions do not count"
    page.locator("#try-shuffle-button").click()
    page.locator("#view-shuffle button").first.click()
    assert shown(page, "change", "shuffle") < 1e-9
    assert shown(page, "content", "shuffle") > 0.05
    page.locator("#try-guess-button").click()
    page.locator("#view-guess .card button").first.click()
    expect(page.locator("#view-guess .answer").first).to_contain_text("picture 1 is")
    context.close()


def test_a_link_beside_the_lambdas_leads_to_one_lambda_at_a_time(opened: Page) -> None:
    opened.get_by_role("tab", name="Stylise").click()
    opened.get_by_role("link", name="one lambda at a time").click()
    expect(opened.locator("#playground img")).to_have_count(5, timeout=WAIT_MS)
    expect(opened.locator("#paint-playground")).to_be_visible()


def test_an_entry_is_painted_live(new_page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from nst.explain import entry_picture

    monkeypatch.setattr(entry_picture, "STEPS", dict.fromkeys(entry_picture.STEPS, ((64, 6),)))
    page = new_page
    open_step(page, "try")
    page.locator("#try-entry-button").click()
    expect(page.locator("#entries img")).to_have_count(4, timeout=WAIT_MS)
    page.locator("#paint-entries").click()
    expect(page.locator("#entries-status")).to_contain_text("times the entry of your picture", timeout=WAIT_MS)
    expect(page.locator("#entries-status")).to_contain_text(f"k = {K} and k' = {M} of {LAYER}", timeout=WAIT_MS)
    expect(page.locator("#paint-entries")).to_be_enabled()
