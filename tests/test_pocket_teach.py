"""The page that learns, in Chromium, with the committed model: teach, keep, carry."""

import base64
import json
import operator
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pocket_site import COMMITTED, Pocket, add_code, grave_complaints, refused_files
from torch.nn import functional as F

from benchmarks.teaching import LEARNED, ask_all, call, teach
from going_modular.app.model import SENTENCES, open_picture
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.stored_features import read_features
from pocket.model_file import FEATURES, KNOWN_FILE, read_known, with_features
from pocket.runtimes import ORT_WEB
from pocket.server import serve_folder
from pocket.site import write_pocket
from pocket.teaching import TaughtHead, class_more, read_taught, write_taught

SITE, UNTIL = "committed_site", LEARNED
OTHERS = COMMITTED.parents[1] / "data" / "other_dishes_effnet_lite2_224.npz"
SOUP, NOODLES = "soup", "noodles"
opened = partial(Pocket, until=LEARNED)
NONE_YET = "Dishes you taught me: none yet"
LEARN = """async ([taught, asked, knownFile]) => {
    const { makeLearner } = await import("./learner.js");
    const { readFile } = await import("./records.js");
    const about = await (await fetch("model.json")).json();
    const packed = (await fetch(knownFile)).body;
    const stream = packed.pipeThrough(new DecompressionStream("gzip"));
    const learner = makeLearner(await new Response(stream).arrayBuffer(), about);
    const { dishes } = await readFile(new Blob([taught]), about);
    learner.train(dishes.map((dish, id) => ({ ...dish, id })));
    const said = asked.map((features) => learner.judge(features));
    return [said, await learner.leaveOneOut(0, () => Promise.resolve())];
}"""


def some(name: str, *numbers: int) -> list[Path]:
    files = [*drawn_files(name, "test"), *drawn_files(name, "train")]
    return [files[number] for number in numbers]


def show(page, name: str, number: int, *said: str) -> None:
    page.set_input_files("#file", some(name, number))
    page.expect(*said)
    page.locator("#teach-this").wait_for()


def teach_what_is_seen(page, name: str, said: str = "Learned.") -> None:
    page.click("#teach-this")
    page.fill("#name", name)
    page.press("#name", "Enter")
    page.see(said)


def add(page, files: list[Path], said: str = "learned") -> None:
    page.set_input_files("#more-files", files)
    page.see(said, where="#teach-note", timeout=60_000)


@pytest.mark.parametrize("names", [["baklava"], ["baklava", "bibimbap", "steak"]])
def test_the_page_learns_what_the_lesson_learns(page, names, tmp_path):
    others, known = read_features(OTHERS), read_known(COMMITTED)
    rows, labels = others.train.tensors
    photos = {n: rows[labels == at][: 20 - 5 * at] for at, n in enumerate(names)}
    asked = torch.cat([others.test.tensors[0][::15], known.features[::40]])
    file = write_taught(tmp_path / "t.json", photos, model_file=COMMITTED)
    given = [file.read_text(), asked.tolist(), KNOWN_FILE]
    theirs, checked = page.evaluate(LEARN, given)
    dishes = read_taught(file, model_file=COMMITTED)
    head = TaughtHead(known, dishes)
    ours = dict(zip(("leads", "likeness"), head.judge(asked), strict=True))
    ours["probabilities"] = head.logits(asked).softmax(dim=1)
    assert all(said["names"] == head.names for said in theirs)
    for key, most in {"probabilities": 0.005, "leads": 0.02, "likeness": 0.001}.items():
        apart = torch.tensor([said[key] for said in theirs]) - ours[key]
        assert apart.abs().max() < most, key
    name, rows, right = names[0], dishes[names[0]], 0
    for place, row in enumerate(rows.split(1)):  # by a head that is fitted anew
        rest = {name: torch.cat([rows[:place], rows[place + 1 :]])}
        right += TaughtHead(known, dishes | rest).find(row).item() == 0
    assert abs(checked["right"] - right) <= 1 and checked["asked"] == len(rows)


def press(page, selector: str, *said: str) -> None:
    """Press a button once what was asked for before is done."""
    page.locator("#taught:not([aria-busy=true])").wait_for()
    page.click(selector)
    page.see(*said)


def rename(page, name: str, said: str) -> None:
    if page.locator("#rename").is_visible():
        press(page, "#rename")
    page.fill("#name", name)
    press(page, "#name-go")
    page.see(said, where="#lesson-title, #teach-note")


def test_dishes_are_taught_taken_back_renamed_and_forgotten(page, tmp_path):
    show(page, SOUP, 15)
    assert SOUP not in page.inner_text("#verdict")
    show(page, SOUP, 0)
    teach_what_is_seen(page, SOUP)
    assert page.evaluate("document.activeElement.id") == "lesson-title"
    add(page, some(SOUP, *range(1, 11)))
    assert page.inner_text("#lesson-count").startswith("11 photos.")
    assert "10 photos learned." in page.inner_text("#teach-note")
    assert "of 11" in page.status(), "how well it does is read aloud"
    (notes := tmp_path / "notes.jpg").write_bytes(b"hello")
    first, second = some(SOUP, 11, 16)
    no_picture = f"notes.jpg: {SENTENCES['no picture']}"
    add(page, [first, notes, second, second], no_picture)
    text = page.inner_text("#teach-note")
    assert "2 photos learned, 1 hardly differed from one that I have." in text
    assert page.locator("#pictures img").count() == 13
    show(page, SOUP, 15, f"This looks like {SOUP}.")
    assert "You taught me this dish." in page.inner_text("#detail")
    assert "likeness to your photos" in page.inner_text("#numbers")
    assert page.bars()[0] == SOUP and sorted(page.bars()[1:]) == list(CLASS_NAMES)
    page.get_by_role("button", name=f"This is {SOUP}, too").click()
    page.see("1 photo learned.", where="#teach-note")
    press(page, "#take-back", "The last photo is forgotten.")
    assert page.inner_text("#lesson-count").startswith("13 photos.")
    show(page, "pizza", 4, "This looks like pizza.")
    assert len(page.bars()) == 3, "as ever"
    rename(page, "\u200b \u202e", "Give the dish a name first.")
    rename(page, "<img src=x onerror=alert(1)>", "onerror")
    assert page.locator("#lesson-title img, #taught-list img").count() == 0
    rename(page, SOUP, SOUP)
    press(page, "#teach-done")
    show(page, NOODLES, 1)
    teach_what_is_seen(page, NOODLES)
    rename(page, f" {SOUP.upper()} ", f"There is a dish called {SOUP} already.")
    rename(page, "Grandma's\u202e best", "Grandma's best")
    press(page, "#teach-done")
    page.click("#taught summary")
    rows = page.locator("#taught-list li .name").all_text_contents()
    assert rows == [SOUP, "Grandma's best"]
    press(page, f"[aria-label='Forget {SOUP}']")
    page.keyboard.press("Escape")
    press(page, f"[aria-label='Forget {SOUP}']")  # still there: nothing without a yes
    page.click("#sure-yes")
    page.see(f"{SOUP} is forgotten.")
    press(page, '[aria-label="Teach more of Grandma\'s best"]', "1 photo. Show me more")
    press(page, "#take-back")  # the last one: the dish is gone
    page.locator("#teach").wait_for(state="hidden")
    assert page.inner_text("#taught-title") == NONE_YET
    teach(page, "PIZZA", some(SOUP, *range(8)))  # a name of ours helps that dish
    assert ask_all(page, some(SOUP, 12, 13)) == ["pizza", "pizza"]
    show(page, SOUP, 14, "This looks like pizza.")
    assert sorted(page.bars()) == list(CLASS_NAMES), "one bar, not two"
    press(page, "#forget-all")
    page.click("#sure-yes")
    page.see("All is forgotten.")
    again(page, NONE_YET)


def test_the_camera_teaches(page):
    page.start_camera()
    page.locator("#bars li").first.wait_for()
    teach_what_is_seen(page, "moving dot")
    press(page, "#film")
    page.see("learned", where="#teach-note", timeout=60_000)
    assert page.locator("#pictures img").count() > 3
    page.see("This looks like moving dot.")
    press(page, "#film", "Looking at 2 of 10 ...")
    page.click("#teach-done")  # and the film ends
    page.locator("#teach").wait_for(state="hidden")
    page.locator("#file-note").get_by_text("learned").wait_for(state="attached")
    page.locator("#taught:not([aria-busy=true])").wait_for()
    assert "forgotten" not in page.text_content("#file-note")
    page.click("#stop")


def test_all_of_it_works_by_keyboard_and_axe_finds_nothing_serious(page):
    def use(selector: str) -> str:
        """Press Enter there; returns where the focus is then."""
        page.locator(selector).focus()
        page.keyboard.press("Enter")
        assert grave_complaints(page) == []
        return page.evaluate("document.activeElement.id")

    show(page, SOUP, 0)
    assert use("#teach-this") == "name"
    page.keyboard.type(SOUP)
    page.keyboard.press("Enter")
    page.see("Learned.")
    for name in ("more-photos", "film", "take-back", "rename", "teach-done"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
    use("#taught summary")
    assert use("#teach-done") == "teach-this"
    assert use(f"[aria-label='Forget {SOUP}']") == "sure-no", "the safe one"
    page.keyboard.press("Enter")
    assert page.locator("#taught-list li").count() == 1


def test_tabs_learn_from_each_other_and_a_reload_needs_no_network(context, page, url):
    other = opened(context, url)
    teach(page, SOUP, some(SOUP, *range(6)))
    other.see("Dishes you taught me: 1, from 6 photos")
    teach(other, SOUP, some(SOUP, *range(6, 10)))
    teach(other, NOODLES, some(NOODLES, *range(6)))
    page.see("Dishes you taught me: 2, from 16 photos")
    asked = [*some(SOUP, *range(12, 18)), *some(NOODLES, *range(12, 18))]
    before = ask_all(page, asked)
    assert before[:6].count(SOUP) >= 4 and before[6:].count(NOODLES) >= 3
    page.locator("#offline").wait_for(timeout=60_000)
    page.close()
    context.set_offline(True)
    third = opened(context, url)
    assert ask_all(third, asked) == before
    show(third, SOUP, 0)
    teach_what_is_seen(third, NOODLES)
    call(other, "forgetAll")
    third.see(NONE_YET)
    assert not third.locator("#lesson").is_visible(), "its dish is gone"
    assert NOODLES not in ask_all(third, some(NOODLES, *range(12, 18)))


# Changes records as the page itself does, from a page without the page's policy.
CHANGE = """async (change) => {
    const { openTaughtDb } = await import("./taught-db.js");
    const db = openTaughtDb(() => {});
    const all = await db.readAll(); // the dish, then its photos
    all.forEach(new Function("one", "at", change));
    await db.change({ put: all });
}"""
BREAK_FIVE = """
    if (at === 1) one.features = new Int8Array(7); // of another length
    if (at === 2) delete one.features;
    if (at === 3) one.scale = NaN;
    if (at === 4) one.dish = "gone";
    if (at === 5) one.picture = "x";"""
# What a browser does that has no room left: it takes the record, then the change fails.
FULL = """() => {
    self.really = IDBObjectStore.prototype.put;
    const value = new DOMException("no room", "QuotaExceededError");
    IDBObjectStore.prototype.put = function (record) {
        really.call(this, record).onsuccess = () => {
            Object.defineProperty(this.transaction, "error", { value });
            this.transaction.abort();
        };
    };
}"""


def again(page, title: str) -> None:
    """Visit once more: so much is taught, and there is nothing to say of it."""
    page.reload()
    page.see(title, where="#taught-title")
    assert page.inner_text("#taught-note") == ""


def test_what_is_kept_survives_a_full_device_broken_records_and_a_new_model(page, url):
    def change_stored(change: str, sentence: str) -> None:
        other = page.context.new_page()
        other.goto(url + "model.json")
        other.evaluate(CHANGE, change)
        other.close()
        page.reload()
        page.see(sentence)

    teach(page, SOUP, some(SOUP, *range(4)))
    page.locator("#offline").wait_for(timeout=60_000)  # all files are kept
    (worker,) = page.workers
    worker.evaluate(FULL)
    teach(page, SOUP, some(SOUP, *range(4, 8)))
    show(page, SOUP, 9)
    teach_what_is_seen(page, SOUP, "Dishes you taught me: 1, from 9 photos")
    assert "This device has no room left" in page.inner_text("#taught-note")
    assert ask_all(page, some(SOUP, 12)) == [SOUP]
    worker.evaluate("() => { IDBObjectStore.prototype.put = self.really; }")
    teach(page, SOUP, some(SOUP, 10, 8))  # there is room again: all goes in
    again(page, "from 11 photos")
    change_stored(BREAK_FIVE, "5 records of what you taught cannot be read")
    assert "1, from 6 photos" in page.inner_text("#taught-title")
    assert ask_all(page, some(SOUP, 12)) == [SOUP]
    teach(page, SOUP, some(SOUP, 11))
    change_stored("if (!one.dish) delete one.name", "13 records of what you taught")
    call(page, "forgetAll")
    again(page, NONE_YET)
    teach(page, SOUP, some(SOUP, *range(8)))
    change_stored("one.model = 'older'", f"You taught {SOUP} (8 photos) to another")
    assert ask_all(page, some(SOUP, 12)) != [SOUP]
    page.click("#relearn")
    page.see("8 photos learned.", timeout=60_000)
    assert ask_all(page, some(SOUP, 12)) == [SOUP]
    again(page, "1, from 8 photos")
    older = "one.model = 'older'; delete one.picture;"
    change_stored(older, "there are no pictures to look at again")
    assert not page.locator("#relearn").is_visible(), "they can only be forgotten"


def test_a_browser_that_keeps_nothing_is_told_so(browser, url):
    asked = []
    refuse = "self.indexedDB.open = () => { throw new DOMException('no', 'X'); };\n"
    with browser.new_context() as context:
        context.add_init_script("delete Navigator.prototype.serviceWorker")
        add_code(context, "taught-db.js", before=refuse)
        context.on("request", lambda request: asked.append(request.url))
        page = opened(context, url)
        assert page.inner_text("#taught-note") == "", "nothing to say before it matters"
        assert not any(KNOWN_FILE in address for address in asked), "nor to fetch"
        show(page, SOUP, 0)
        teach_what_is_seen(page, SOUP)
        assert sum(KNOWN_FILE in address for address in asked) == 1
        page.see("This browser keeps nothing here")
        add(page, some(SOUP, *range(1, 8)))
        assert ask_all(page, some(SOUP, 12)) == [SOUP]
        again(page, NONE_YET)


def saved(page, with_pictures: bool) -> bytes:
    page.evaluate("taught.open = true")
    page.set_checked("#with-pictures", with_pictures)
    with page.expect_download() as download:
        page.click("#save")
    return Path(download.value.path()).read_bytes()


def read(page, content: bytes) -> str:
    """Read a file in, as a visitor does; returns what the page says of it."""
    page.evaluate("taught.open = true; self['file-note'].textContent = ''")
    file = {"name": "t.json", "mimeType": "application/json", "buffer": content}
    page.set_input_files("#read-file", file)
    page.locator("#file-note:not(:empty)").wait_for()
    return page.inner_text("#file-note")


def test_a_file_takes_it_to_another_device_and_to_python(browser, page, tmp_path):
    chosen = some(SOUP, *range(10))
    teach(page, SOUP, chosen)
    teach(page, NOODLES, some(NOODLES, *range(10)))
    asked = some(SOUP, *range(12, 18)) + some(NOODLES, *range(12, 18))
    before = ask_all(page, asked)
    small, large = saved(page, False), saved(page, True)
    assert len(small) < 60_000 and b"picture" not in small and b"picture" in large
    site = write_pocket(COMMITTED, tmp_path / "site", engine=ORT_WEB)
    with serve_folder(site) as served, browser.new_context() as elsewhere:
        other = opened(elsewhere, served.url)  # with the other engine
        assert read(other, small) == "20 photos learned."
        same = map(operator.eq, ask_all(other, asked), before)
        assert sum(same) >= 11
        old = "0 photos learned, 20 hardly differed from one that I have."
        assert read(other, large) == old
        call(other, "forgetAll")
        moved = json.loads(large) | {"model": "another"}
        said = read(other, json.dumps(moved).encode())
        assert "20 photos learned. It was of another model" in said
        assert ask_all(other, asked[:6]).count(SOUP) >= 4
        moved = json.loads(small) | {"model": "another"}
        said = read(other, json.dumps(moved).encode())
        assert "has no small pictures to learn from anew. Nothing was changed." in said
        assert other.complaints == []
    (tmp_path / "taught.json").write_bytes(large)
    rows = read_taught(tmp_path / "taught.json", model_file=COMMITTED)[SOUP]
    session = onnxruntime.InferenceSession(with_features(COMMITTED))
    ours = [session.run([FEATURES], {"picture": open_picture(f)})[0] for f in chosen]
    ours = torch.from_numpy(np.concatenate(ours))
    assert F.cosine_similarity(rows, ours, dim=1).min() > 0.999


def test_page_and_python_keep_the_same_rules_for_a_file(page, tmp_path):
    """That Python refuses the same files is tried in test_teaching.py."""
    teach(page, SOUP, some(SOUP, *range(3)))
    good = call(page, "save", withPictures=True)
    call(page, "forgetAll")
    for what, (content, why) in refused_files(good).items():
        assert why in read(page, content), what
    assert page.inner_text("#taught-title") == NONE_YET, "nothing was changed"
    content = json.loads(good)
    photos = content["dishes"][0]["photos"]
    for photo in photos[:2]:
        photo["picture"] = base64.b64encode(b"<svg onload=alert(1)>").decode()
    names = [SOUP, f" {SOUP.upper()}\u202e", "PIZZA"]  # one is ours, two are one
    pairs = zip(names, photos, strict=True)
    content["dishes"] = [{"name": name, "photos": [one]} for name, one in pairs]
    file = tmp_path / "taught.json"
    file.write_text(json.dumps(content))
    assert read(page, file.read_bytes()) == "3 photos learned."
    rows = read_taught(file, model_file=COMMITTED)
    assert {name: len(each) for name, each in rows.items()} == {SOUP: 2, "pizza": 1}
    classes, labels = class_more(CLASS_NAMES, rows)
    assert classes == [*CLASS_NAMES, SOUP] and labels.tolist() == [3, 3, 0]
    kept = json.loads(call(page, "save", withPictures=True))["dishes"]
    assert [dish["name"] for dish in kept] == [SOUP, "pizza"]
    pictures = ["picture" in photo for dish in kept for photo in dish["photos"]]
    assert pictures == [False, False, True], "false ones are left out"
    call(page, "forgetAll")
    rows = read_features(OTHERS).train.tensors[0]
    dishes = {f"dish {at}": rows[30 * at : 30 * at + 1] for at in range(20)}
    write_taught(file, dishes, model_file=COMMITTED)
    assert read(page, file.read_bytes()) == "20 photos learned."
    show(page, SOUP, 15)
    teach_what_is_seen(page, "one more", "I keep at most 20 dishes apart.")
