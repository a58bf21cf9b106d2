//! The page of all workers: their devices and data, their stages, and how long ago they were heard of.

use pretext_engine::{DeviceState, WorkerView};
use pretext_html::{Html, html};
use pretext_shared::sweep::CellState;
use pretext_shared::text;

use super::layout::Tab;
use super::{Added, Page, Part, shape};

/// Returns the page.
pub(in crate::http) fn of_workers(workers: &[WorkerView]) -> Page {
    let parts = vec![Part::new("head", head(workers)), Part::new("workers", list(workers))];
    Page { title: "Workers".to_owned(), tab: Tab::Workers, parts, added: Added::default() }
}

fn head(workers: &[WorkerView]) -> Html {
    let connected: Vec<&WorkerView> = workers.iter().filter(|worker| worker.connected).collect();
    let slots: u32 = connected.iter().flat_map(|worker| &worker.offer.devices).map(|device| device.slots).sum();
    let busy: usize = connected.iter().map(|worker| worker.holds.len()).sum();
    html!(
        "<h1>Workers</h1>\n<p class=\"lead\">{connected} connected · {busy} of {slots} busy</p>",
        connected = connected.len(),
        busy = busy,
        slots = text::counted(slots, "slot"),
    )
}

fn list(workers: &[WorkerView]) -> Html {
    if workers.is_empty() {
        return html!(
            "<div class=\"empty\"><p>No worker has registered yet.</p>\n<pre>worker --coordinator http://HOST:7878</pre></div>"
        );
    }
    html!("<ul class=\"cards\">\n{}</ul>", workers.iter().map(card).collect::<Html>())
}

fn card(worker: &WorkerView) -> Html {
    let state = match (worker.connected, worker.holds.is_empty()) {
        (true, true) => html!("<span class=\"state\">{}idle</span>", shape::of(CellState::Pending)),
        (true, false) => html!("<span class=\"state running\">{}busy</span>", shape::of(CellState::Running)),
        (false, _) => {
            let minutes = worker.silent_ms / 60_000;
            let long = if minutes == 0 { "for less than a minute".to_owned() } else { format!("for {minutes} min") };
            html!("<span class=\"state failed\">{}silent {}</span>", shape::of(CellState::Failed), long)
        }
    };
    html!(
        "<li class=\"card\"><div class=\"row\"><h2>{name}</h2>{state}</div>\n{devices}{data}\
         <p class=\"small\">version {version} · boot <code>{boot}</code></p></li>\n",
        name = worker.worker.name,
        state = state,
        devices = devices(worker),
        data = data(worker),
        version = worker.offer.version,
        boot = worker.worker.boot.to_string(),
    )
}

fn devices(worker: &WorkerView) -> Html {
    let rows = worker.offer.devices.iter().map(|device| {
        let held = worker.holds.iter().filter(|(_, on, _)| *on == device.name);
        let held: Html = held
            .map(|(attempt, _, step)| {
                html!("<li>stage <code>{}</code> at step {}</li>", attempt.stage.short(), text::grouped(*step))
            })
            .collect();
        let held = if held.is_empty() { html!("<span class=\"small\">free</span>") } else { html!("<ul class=\"plain\">{}</ul>", held) };
        let health = match worker.unwell.get(&device.name) {
            Some(DeviceState::Drained { reason }) => html!("<p class=\"warning\">drained: {}</p>", reason),
            Some(DeviceState::OnProbation) => html!("<p class=\"warning\">on probation: one stage at a time</p>"),
            Some(DeviceState::Good) | None => Html::default(),
        };
        html!(
            "<tr><th scope=\"row\"><code>{name}</code></th><td>{description}{health}</td><td class=\"number\">{slots}</td><td>{held}</td></tr>\n",
            name = device.name,
            description = device.description,
            health = health,
            slots = device.slots,
            held = held
        )
    });
    html!(
        "<div class=\"scroll\"><table class=\"plain\"><thead><tr><th>Device</th><th>What it is</th><th class=\"number\">Slots</th>\
         <th>Holds</th></tr></thead><tbody>\n{}</tbody></table></div>\n",
        rows.collect::<Html>()
    )
}

fn data(worker: &WorkerView) -> Html {
    let line = |announced: &pretext_engine::Announcement| match &announced.facts {
        Ok(facts) => html!(
            "<li><code>{key}</code> <span class=\"small\">{classes}, {train} + {test} images</span></li>",
            key = announced.key,
            classes = text::counted(facts.classes.len(), "class"),
            train = text::grouped(facts.train_total()),
            test = text::grouped(facts.test_total())
        ),
        Err(reason) => html!("<li><code>{}</code> <span class=\"warning\">{}</span></li>", announced.key, reason),
    };
    let lines: Html = worker.offer.datasets.iter().map(line).collect();
    if lines.is_empty() { lines } else { html!("<ul class=\"plain\">{}</ul>\n", lines) }
}
