"""The explorer in a real browser: what it shows, moved and drawn on as people do it."""

import base64
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from models import with_random_weights
from PIL import Image

from cnnlab import explorer, lines, mnist, pretrained
from cnnlab.interpret import grad_cam, load
from tools.explorer import MODELS

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
WEB = Path(__file__).resolve().parents[1] / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def arc(x, y, wide, high, begin, end):
    """Points on an ellipse, from one angle to another in degrees, counterclockwise."""
    angles = np.radians(np.linspace(begin, end, 17))
    return list(zip(x + wide * np.cos(angles), y - high * np.sin(angles), strict=True))


ONE = [(0.5, 0.2), (0.5, 0.8)]
DIGITS = [  # the strokes of each, as people draw them
    [arc(0.5, 0.5, 0.18, 0.3, 90, 450)],
    [ONE],
    [[*arc(0.5, 0.36, 0.17, 0.16, 160, -40), (0.32, 0.8), (0.7, 0.8)]],
    [[*arc(0.48, 0.35, 0.17, 0.15, 140, -90), *arc(0.48, 0.65, 0.19, 0.15, 90, -140)]],
    [[(0.4, 0.2), (0.3, 0.52), (0.7, 0.52)], [(0.6, 0.3), (0.6, 0.82)]],
    [[(0.68, 0.2), (0.38, 0.2), (0.36, 0.46), *arc(0.48, 0.62, 0.19, 0.18, 110, -140)]],
    [[(0.62, 0.18), (0.42, 0.4), *arc(0.5, 0.64, 0.15, 0.16, 150, 510)]],
    [[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]],
    [arc(0.5, 0.35, 0.14, 0.14, 270, -90), arc(0.5, 0.65, 0.17, 0.16, 90, 450)],
    [[*arc(0.5, 0.36, 0.15, 0.16, 0, 360), (0.63, 0.8)]],
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser):
    """A function that opens the page at an address; what it says wrong fails the test."""
    wrong, contexts = [], []

    def open_page(address="", folder=WEB, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "blob:")) or wrong.append(request.url)
            ),
        )
        page.goto(f"file://{folder}/index.html{address}")
        page.wait_for_function("window.lastUpdate || document.body.matches('.empty')")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def best(page):
    """{head: the class it shows}."""
    names, found = page.locator(".head .name").all(), {}
    for name in names:
        whole, bold = name.inner_text(), name.locator("b").inner_text()
        found[whole.removesuffix(bold).strip()] = bold
    return found


def settled(page):
    """Wait until what was changed is shown."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)))")


def stroke(page, points):
    box = page.locator("#stage").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    settled(page)


def test_what_is_shown_is_what_python_says(opened):
    page, model = opened(), load("task2")
    for angle, color, length in ((30, "red", 15), (97, "blue", 7), (150, "red", 11)):
        rgb = {"red": (255, 0, 0), "blue": (0, 0, 255)}[color]
        code = """([length, angle, color]) => {
          Object.assign(explorer.state.line, { length, angle, width: 3, x: 14, y: 13 });
          explorer.state.color = color;
          explorer.update();
          const found = explorer.found.map(({ head, answers, map }) =>
            [head.name, answers, [...map.heat], map.peak]);
          return { pixels: [...explorer.pixels], found };
        }"""
        found = page.evaluate(code, [length, angle, "#{:02x}{:02x}{:02x}".format(*rgb)])
        image = lines.render(length, 3, angle, (14, 13), rgb)
        np.testing.assert_array_equal(np.reshape(found["pixels"], image.shape), image)
        for head, answers, heat, peak in found["found"]:
            told = grad_cam(model, image, head=head)
            np.testing.assert_allclose(answers, told.answers[0], 1e-4, 1e-6)
            np.testing.assert_allclose(np.reshape(heat, (28, 28)), told.maps[0], 0, 1e-4)
            np.testing.assert_allclose(peak, told.peak[0], 1e-4)
            shown = best(page)[head]
            assert shown == pretrained.class_names("task2", [head])[head][told.targets[0]]


ASKED = """({ count, change }) => {
  const step = new Function("n", change);
  const shown = [], pixels = [], heat = [], peaks = [], answers = [];
  for (let n = 0; n < count; n++) {
    step(n);
    explorer.update();
    shown.push([...document.querySelectorAll(".head b")].map((bold) => bold.textContent));
    pixels.push(...explorer.pixels);
    for (const one of explorer.found) {
      heat.push(...one.map.heat);
      answers.push(one.answers);
      peaks.push(one.map.peak);
    }
  }
  const packed = (array) => {
    const bytes = new Uint8Array(array.buffer), letters = [];
    for (let i = 0; i < bytes.length; i += 9999)
      letters.push(String.fromCharCode(...bytes.subarray(i, i + 9999)));
    return btoa(letters.join(""));
  };
  const heads = explorer.found.map((one) => one.head.name);
  const arrays = [Uint8Array.from(pixels), Float32Array.from(heat)].map(packed);
  return [heads, shown, answers, peaks, ...arrays];
}"""
LINES = """Object.assign(explorer.state.line,
  { length: 5 + (n % 11), width: 1 + (n % 7) / 2, angle: (n * 61.803) % 180, x: 14, y: 14 });
explorer.state.color = ["#ff0000", "#0000ff", "#00ff80"][n % 3];"""
EXAMPLE = "explorer.state.example = n;"


@pytest.mark.slow
@pytest.mark.parametrize("name", [each["name"] for each in MODELS])
def test_a_thousand_images_are_answered_as_in_python(opened, name):
    is_digits = name == "task1-mnist"
    page = opened(f"#mode={'digits' if is_digits else 'lines'}&model={name}")
    if is_digits:
        packed = base64.b64encode(mnist.pool()[0][-1000:].tobytes()).decode()
        page.evaluate(
            """(packed) => {
              const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
              window.EXAMPLES = Array.from({ length: 1000 }, (_, n) =>
                ({ pixels: bytes.subarray(784 * n, 784 * (n + 1)) }));
            }""",
            packed,
        )
    asked = {"count": 1000, "change": EXAMPLE if is_digits else LINES}
    heads, shown, answers, peaks, pixels, heat = page.evaluate(ASKED, asked)
    network, layer = load(name), "relu_3" if is_digits else None
    pixels = np.frombuffer(base64.b64decode(pixels), np.uint8)
    images = pixels.reshape(1000, *network.input_shape[1:]).astype(np.float32)
    heat = np.frombuffer(base64.b64decode(heat), np.float32).reshape(1000, len(heads), 28, 28)
    for place, head in enumerate(heads):
        told = grad_cam(network, images, head=head, layer=layer)
        np.testing.assert_allclose(answers[place :: len(heads)], told.answers, 1e-4, 1e-6)
        same = np.abs(heat[:, place] - told.maps).max(axis=(1, 2)) < 1e-4
        # Where a later rectifier stands at its kink, rounding decides on its gradient.
        assert same.mean() > 0.99 if layer else same.all()
        peak = np.array(peaks[place :: len(heads)])
        np.testing.assert_allclose(peak[same], told.peak[same], 1e-3, 1e-6)
        names = pretrained.class_names(name, [head])[head]
        assert [row[place] for row in shown] == [names[k] for k in told.targets]


def test_handles_are_dragged_and_the_address_restores_all(opened):
    page = opened("#line=15,3,0,14,14")
    assert best(page)["angle"] == "0°"
    box = page.locator("#handles circle.end:not(.reach)").bounding_box()
    stage = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] * 0.2, steps=9)
    page.mouse.up()
    settled(page)
    assert best(page)["angle"] == "90°" and page.locator("#range-angle").input_value() == "90"
    page.locator("[data-head=width]").click()
    page.get_by_label("method").select_option("layercam")
    page.wait_for_function("location.hash.includes('method=layercam')")
    again = opened(page.evaluate("location.hash"))
    for asked in ("explorer.state.line", "explorer.found.map((one) => one.answers)"):
        assert again.evaluate(asked) == page.evaluate(asked)
    assert again.locator("[data-head=width]").get_attribute("aria-pressed") == "true"
    assert again.get_by_label("method").input_value() == "layercam"


def test_by_keyboard_alone(opened):
    page = opened("#line=15,3,30,14,14")
    page.locator("#range-angle").focus()
    for _ in range(150):
        page.keyboard.press("ArrowRight")
    settled(page)
    assert best(page)["angle"] == "45°"
    page.locator("[data-head=length]").focus()
    page.keyboard.press("Enter")
    assert page.locator("[data-head=length]").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Is the map right?").focus()
    page.keyboard.press("Enter")
    assert page.locator("#checked tr").count() == 5
    page.wait_for_function("document.getElementById('said').textContent.includes('blanked')")
    page.get_by_role("button", name="Digits").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.body.dataset.mode === 'digits'")
    page.wait_for_function("document.getElementById('said').textContent.includes('Nothing drawn')")
    assert page.evaluate("document.activeElement.textContent") == "Digits"
    page.get_by_role("button", name="Is the map right?").click()  # nothing to check: no error
    page.locator(".examples button").nth(3).focus()
    page.keyboard.press("Enter")
    settled(page)
    assert best(page) == {"answer": "3"}


def test_arrow_keys_move_the_line(opened):
    page = opened("#line=7,3,30,14,14")
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    line = page.evaluate("explorer.state.line")
    assert (line["x"], line["y"]) == (15, 13)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("explorer.state.line.length === 15")


def test_a_pen_is_moved_by_keyboard(opened):
    page = opened("#mode=digits")
    page.locator("#stage").focus()
    for key in ["ArrowUp"] * 5 + ["Space"] + ["ArrowDown"] * 10 + ["Space", "ArrowLeft"]:
        page.keyboard.press(key)
    settled(page)
    assert best(page) == {"answer": "1"}
    assert page.evaluate("explorer.state.strokes.map((one) => one.length)") == [11]
    page.get_by_role("button", name="Undo").click()
    page.locator("#stage").focus()
    page.keyboard.press("ArrowLeft")
    settled(page)
    assert best(page) == {"answer": "–"}


def test_the_other_network_is_asked_too(opened):
    page = opened("#line=15,3,30,14,14")
    right = "reads: 30°, red, long, thick."
    page.wait_for_function(f"document.getElementById('others').textContent.endsWith('{right}')")
    page.locator("#range-background").fill("16")
    page.wait_for_function(f"!document.getElementById('others').textContent.endsWith('{right}')")
    assert best(page) == {"length": "long", "width": "thick", "angle": "30°", "color": "red"}


@pytest.mark.parametrize(
    "address",
    ["#layer=constructor", "#mode=digits&example=1.5", "#line=100,100,10,1e9,1e9", "#target=0.5"],
)
def test_an_odd_address_is_as_good_as_none(opened, address):
    page = opened(address)
    settled(page)
    assert page.locator(".head .name b").first.inner_text() or "digits" in address


def test_a_press_takes_the_nearest_handle_and_a_second_finger_nothing(opened):
    page = opened("#line=2,0.5,30,14,14")
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.evaluate("""document.getElementById('stage').dispatchEvent(
        new PointerEvent('pointermove', {pointerId: 77, clientX: 0, clientY: 0}))""")
    page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2)
    page.mouse.up()
    line = page.evaluate("explorer.state.line")
    assert line["length"] == 2 and line["x"] > 15 and line["y"] == pytest.approx(14, abs=0.1)


def test_digits_are_drawn(opened):
    page = opened("#mode=digits")
    assert best(page) == {"answer": "–"} and "Nothing drawn" in page.locator("#scale").inner_text()
    for digit, strokes in enumerate(DIGITS):
        for points in strokes:
            stroke(page, points)
        assert best(page) == {"answer": str(digit)}
        page.get_by_role("button", name="Clear").click()
        settled(page)
        assert best(page) == {"answer": "–"}
    page.wait_for_function("!location.hash.includes('strokes=')")
    stroke(page, ONE)
    assert best(page) == {"answer": "1"}
    page.wait_for_function("location.hash.includes('strokes=')")
    again = opened(page.evaluate("location.hash"))
    asked = "[...explorer.pixels]"
    assert again.evaluate(asked) == page.evaluate(asked)
    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert best(page) == {"answer": "–"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "#mode=digits&example=4"])
def test_on_a_telephone(opened, address, scheme):
    telephone = {"viewport": {"width": 390, "height": 800}, "has_touch": True}
    page = opened(address, color_scheme=scheme, **telephone)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.mouse.wheel(0, 500)
    page.wait_for_function("scrollY > 300")
    assert page.locator("#stage").bounding_box()["y"] >= 0  # it stays in sight
    before = [page.locator("#stage").bounding_box(), page.evaluate("[...explorer.pixels]")]
    stroke(page, [(0.3, 0.3), (0.6, 0.7)])
    assert page.locator("#stage").bounding_box() == before[0]  # the stroke did not scroll,
    assert page.evaluate("[...explorer.pixels]") != before[1]  # it drew
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    light = sum(map(int, ground[4:-1].split(","))) > sum(map(int, ink[4:-1].split(",")))
    assert light == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "#mode=digits", "#mode=digits&example=4"])
def test_nobody_is_kept_out(opened, address, scheme):
    page = opened(address, color_scheme=scheme)
    if "mode" not in address:
        page.get_by_role("button", name="Is the map right?").click()
        page.wait_for_selector("#circle svg")
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in grave] == []


def test_a_model_of_ones_own(opened, tmp_path):
    image = keras.Input((20, 30, 3))
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    row = layers.Dense(3, "softmax", name="kind")(layers.Flatten()(x))
    model = with_random_weights(keras.Model(image, row))
    model.save(tmp_path / "mine.keras")
    script = explorer.scripted(
        model, "model", tmp_path / "mine.keras", {"kind": ["a", "b", "</c>"]}
    )
    shown = {"name": "model", "label": "mine", "title": "mine.keras", "mode": "image"}
    explorer.write_page(tmp_path / "page", [shown], {"model": script})
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "photo.txt").write_text("no image")
    page = opened(folder=tmp_path / "page")
    assert "No image yet" in page.locator("#scale").inner_text()
    page.locator("#file").set_input_files(tmp_path / "photo.txt")
    page.wait_for_function("document.getElementById('scale').textContent.includes('not an image')")
    page.locator("#file").set_input_files(tmp_path / "photo.png")
    page.wait_for_function("explorer.pixels")
    assert page.evaluate("[...explorer.pixels]") == pixels.ravel().tolist()
    told = grad_cam(model, pixels.astype(np.float32))
    answers, heat = page.evaluate("[explorer.found[0].answers, [...explorer.found[0].map.heat]]")
    np.testing.assert_allclose(answers, told.answers[0], 1e-5)
    np.testing.assert_allclose(np.reshape(heat, (20, 30)), told.maps[0], 0, 1e-4)
    assert best(page) == {"answer": ["a", "b", "</c>"][told.targets[0]]}
