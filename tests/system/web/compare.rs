//! The comparison page in a real Chromium: overlay, zoom, hover, deep links, two sweeps, and the keyboard alone.

use pretext_tests::browser::Browser;
use pretext_tests::stub::Stub;
use serde_json::json;

use super::browsing::{log_in, picture};
use super::trained::{STUDY, train};
use super::wire::Site;

const READY: &str = "document.documentElement.dataset.ready === 'compare'";
/// The chart of this kind of curve.
const CHART: &str = "document.querySelector('[data-kind=\"downstream/loss\"]')";

/// Returns a site with a trained sweep, and a browser that is logged in.
async fn studied() -> Option<(Site, Stub, String, Browser)> {
    let mut browser = Browser::start(&[])?;
    let site = Site::start();
    let read = site.session("read");
    let mut stub = Stub::register(&site.server.url, "stub", 1).await;
    let sweep = site.server.submit(&site.folder, STUDY);
    train(&site, &mut stub, &sweep, &read).await;
    browser.look(1280, 900, "light");
    log_in(&mut browser, &site, "read");
    Some((site, stub, sweep, browser))
}

fn open(browser: &mut Browser, site: &Site, sweep: &str, query: &str) {
    browser.open(&format!("http://{}/sweeps/{sweep}/compare{query}", site.address));
    browser.wait(READY);
}

/// Returns how many pixels of a chart have nearly this colour.
fn pixels(kind: &str, [red, green, blue]: [u8; 3]) -> String {
    format!(
        "(() => {{ const c = document.querySelector('[data-kind=\"{kind}\"] canvas'); \
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; \
         for (let i = 0; i < d.length; i += 4) \
         if (Math.hypot(d[i] - {red}, d[i + 1] - {green}, d[i + 2] - {blue}) < 12 && d[i + 3] > 200) n += 1; \
         return n; }})()"
    )
}

const ROTATION: [u8; 3] = [0, 114, 178];
const SUPERVISED: [u8; 3] = [110, 119, 129];

#[tokio::test]
async fn the_first_view_says_which_method_wins_and_lays_the_curves_over_each_other() {
    let Some((site, _stub, sweep, mut browser)) = studied().await else { return };
    browser.open(&format!("http://{}/sweeps/{sweep}", site.address));
    browser.click("#answers a");
    browser.wait(READY);
    assert!(browser.text().contains("Rotation is best: 60.25"), "{}", browser.text());
    let kinds = browser.value("[...document.querySelectorAll('[data-kind]')].map(e => e.dataset.kind)");
    assert_eq!(kinds, json!(["pretext/loss", "pretext/accuracy", "downstream/loss", "downstream/accuracy"]));
    // Both methods are in one picture, and the figure has its values.
    browser.wait(&format!("{} > 50", pixels("downstream/loss", ROTATION)));
    browser.wait(&format!("{} > 50", pixels("downstream/loss", SUPERVISED)));
    assert_eq!(browser.value(&pixels("pretext/loss", SUPERVISED)).as_i64(), Some(0), "it has no pretext training");
    assert_eq!(browser.value("document.querySelectorAll('.efficiency .legend li').length"), 2);
    let health = browser.value("document.querySelector('.health').innerText").to_string();
    assert!(health.contains("Rotation: pretext training loss fell from 2 to 0.333"), "{health}");
    picture(&mut browser, "compare.png");

    // A choice is drawn, and is in the address.
    browser.click("#method-supervised");
    browser.wait(&format!("{} === 0", pixels("downstream/loss", SUPERVISED)));
    browser.click("[id='curve-pretext/learning-rate']");
    browser.wait("document.querySelector('[data-kind=\"pretext/learning-rate\"]') !== null");
    let address = browser.value("location.search").to_string();
    assert!(address.contains("method=rotation") && address.contains("pretext/learning-rate"), "{address}");
    assert_eq!(browser.value("document.querySelectorAll('[style]').length > 0"), true, "uPlot works under the CSP");
}

#[tokio::test]
async fn a_drag_zooms_a_double_click_resets_and_hovering_reads_values() {
    let Some((site, _stub, sweep, mut browser)) = studied().await else { return };
    open(&mut browser, &site, &sweep, "");
    let place = format!(
        "(() => {{ const n = {CHART}; n.scrollIntoView({{block: 'center'}}); \
         const r = n.querySelector('.u-over').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; }})()"
    );
    browser.wait(&format!("{CHART}.querySelector('.u-over') !== null"));
    let place: Vec<f64> = serde_json::from_value(browser.value(&place)).expect("four numbers");
    let [left, top, width, height] = place[..] else { panic!("{place:?}") };
    let mouse = |browser: &mut Browser, kind: &str, share: f64, clicks: u32| {
        let (x, y) = (left + width * share, top + height / 2.0);
        let buttons = u32::from(kind != "mouseReleased");
        let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": clicks });
        browser.call("Input.dispatchMouseEvent", event);
    };
    browser.call(
        "Input.dispatchMouseEvent",
        json!({ "type": "mouseMoved", "x": left + width / 2.0, "y": top + height / 2.0 }),
    );
    browser.wait(&format!("{CHART}.querySelector('.readout').innerText.includes('Rotation, validation')"));
    mouse(&mut browser, "mousePressed", 0.3, 1);
    mouse(&mut browser, "mouseMoved", 0.5, 0);
    mouse(&mut browser, "mouseMoved", 0.7, 0);
    mouse(&mut browser, "mouseReleased", 0.7, 1);
    browser.wait("location.search.includes('zoom=downstream:')");
    // The other chart of the stage follows, those of the other stage do not.
    let narrow = |kind: &str| format!("Number(document.querySelector('[data-kind=\"{kind}\"]').dataset.from) > 1.5");
    browser.wait(&narrow("downstream/loss"));
    browser.wait(&narrow("downstream/accuracy"));
    assert_eq!(browser.value(&narrow("pretext/loss")), false);
    for (kind, clicks) in [("mousePressed", 1), ("mouseReleased", 1), ("mousePressed", 2), ("mouseReleased", 2)] {
        mouse(&mut browser, kind, 0.5, clicks);
    }
    browser.wait("!location.search.includes('zoom')");
    browser.wait(&format!("!({})", narrow("downstream/accuracy")));
}

#[tokio::test]
async fn a_link_shows_what_its_sender_saw_and_two_sweeps_lie_over_each_other() {
    let Some((site, mut stub, sweep, mut browser)) = studied().await else { return };
    let other = site
        .server
        .submit(&site.folder, &STUDY.replace("name: trained", "name: second").replace("seed: 0,", "seed: 1,"));
    let read = site.session("read");
    train(&site, &mut stub, &other, &read).await;
    let query = "?method=rotation&fraction=0.5,1&seed=1&curve=downstream/loss&x=step&show=seeds&logy=1&smooth=0.5\
                 &zoom=downstream:10:20";
    open(&mut browser, &site, &sweep, query);
    let checked = "[...document.querySelectorAll('.choose input:checked')].map(e => e.id)";
    let wanted =
        ["method-rotation", "fraction-0.5", "fraction-1", "lr-fixed", "seed-1", "curve-downstream/loss", "logY"];
    assert_eq!(browser.value(checked), json!(wanted));
    let fields = "['x', 'show', 'smooth'].map(id => document.getElementById(id).value)";
    assert_eq!(browser.value(fields), json!(["step", "seeds", "0.5"]));
    browser.wait(&format!("Number({CHART}.dataset.from) === 10 && Number({CHART}.dataset.to) === 20"));
    assert_eq!(browser.value("document.querySelectorAll('.panels > *').length"), 1);
    assert_eq!(
        browser.value("document.querySelectorAll('#compare > .legend li').length"),
        3,
        "two fractions and a note"
    );

    // The other sweep is chosen in the form, and is in the address.
    browser.value(&format!(
        "(e => {{ e.value = '{other}'; e.dispatchEvent(new Event('change')); }})(document.getElementById('with'))"
    ));
    browser.wait("document.querySelectorAll('#compare > .legend li').length === 5");
    assert_eq!(browser.value(&format!("location.search.includes('with={other}')")), true);
    assert!(browser.text().contains(&format!("in {other}")), "{}", browser.text());
    open(&mut browser, &site, &sweep, &format!("?with={other}"));
    browser.wait("document.querySelectorAll('.efficiency .legend li').length === 4");
    picture(&mut browser, "compare-two.png");
    // A sweep that is not there is said to be missing.
    browser.open(&format!("http://{}/sweeps/{sweep}/compare?with=none-00000000", site.address));
    browser.wait("document.querySelector('#compare [role=status]')?.textContent.includes('no such sweep')");
}

/// Presses a key.
fn press(browser: &mut Browser, key: &str, code: u32) {
    let text = if key == " " { json!(" ") } else { json!(null) };
    let mut down = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
    if !text.is_null() {
        down["text"] = text;
    }
    browser.call("Input.dispatchKeyEvent", down);
    browser.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }));
}

/// Presses Tab until the element that `is` describes has the focus.
fn tab_to(browser: &mut Browser, is: &str) {
    for _ in 0..80 {
        if browser.value(&format!("document.activeElement?.matches('{is}') ?? false")) == true {
            return;
        }
        press(browser, "Tab", 9);
    }
    panic!("{is} was not reached");
}

#[tokio::test]
async fn the_keyboard_alone_chooses_reads_and_zooms() {
    let Some((site, _stub, sweep, mut browser)) = studied().await else { return };
    open(&mut browser, &site, &sweep, "");
    tab_to(&mut browser, ".efficiency");
    press(&mut browser, "ArrowRight", 39);
    browser.wait(
        "document.querySelector('.efficiency .readout').innerText.includes('50 % of the labels: Rotation 60.25')",
    );
    tab_to(&mut browser, "#method-supervised");
    press(&mut browser, " ", 32);
    browser.wait("location.search.includes('method=rotation')");
    browser.wait("document.activeElement.id === 'method-supervised'");
    tab_to(&mut browser, "[data-kind=\"downstream/loss\"]");
    press(&mut browser, "End", 35);
    browser.wait(&format!("{CHART}.querySelector('.readout').innerText.startsWith('epoch 6: ')"));
    press(&mut browser, "ArrowLeft", 37);
    browser.wait(&format!("{CHART}.querySelector('.readout').innerText.includes('epoch 5: ')"));
    assert!(browser.text().contains("Rotation, validation 0.4"), "{}", browser.text());
    press(&mut browser, "+", 187);
    browser.wait(&format!("Number({CHART}.dataset.from) > 2"));
    assert_eq!(browser.value("document.activeElement.dataset.kind"), "downstream/loss", "the focus stays");
    press(&mut browser, "Escape", 27);
    browser.wait(&format!("Number({CHART}.dataset.from) === 1"));
}
