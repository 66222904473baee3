// What the pages do beyond plain HTML and htmx: theme, pause, keyboard, filter, clock, copy. Nothing here is needed to
// read. No library, no inline handler: elements say what they are with data attributes.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// — theme: the cookie the server reads, without the reload —
const NEXT_THEME = { system: "light", light: "dark", dark: "system" };

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = $("[data-theme-form] button");
  button.value = NEXT_THEME[theme];
  button.title = `Theme: ${theme}`;
  button.setAttribute("aria-label", `Theme: ${theme}. Change`);
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-theme-form]")) return;
  event.preventDefault();
  const theme = $("button", event.target).value;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `km_theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  showTheme(theme);
});

// — live: one switch for every poller on the page; a hidden tab asks nothing —
let paused = false;
let reachable = true;

function setPaused(value) {
  paused = value;
  for (const button of $$("[data-pause]")) {
    button.setAttribute("aria-pressed", String(paused));
    $("[data-pause-label]", button).textContent = paused ? "Resume" : "Pause";
    $("use", button).setAttribute("href", $("use", button).getAttribute("href").replace(/#.*/, paused ? "#play" : "#pause"));
  }
  showPulse();
}

function showPulse() {
  for (const pulse of $$("[data-pulse]")) {
    pulse.classList.toggle("live", reachable && !paused);
    pulse.classList.toggle("away", !reachable);
    const words = !reachable ? "Server not reachable" : paused ? "Updates paused" : "Live updates";
    if ($("[data-pulse-words]", pulse).textContent !== words) $("[data-pulse-words]", pulse).textContent = words;
  }
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches("[data-poll]") && (paused || document.hidden)) event.preventDefault();
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr.status === 401) location.reload(); // signed out meanwhile: the reload lands on the sign-in page
  if (!event.target.matches("[data-poll]")) return;
  reachable = event.detail.successful; // a server that is away must be seen, or an old page passes for a quiet one
  showPulse();
});

// What a poll brought obeys the filter, and the clock.
document.addEventListener("htmx:afterSettle", () => { applyFilter(); tick(); });

// — filter: hides the rows on the page that do not hold the words —
function applyFilter() {
  const box = $("[data-filter]");
  if (!box) return;
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const onlyErrors = $("[data-only-errors]")?.checked ?? false;
  const rows = $$("[data-row]");
  let shown = 0;
  for (const row of rows) {
    const text = $("summary", row).textContent.toLowerCase();
    const match = words.every((word) => text.includes(word)) && (!onlyErrors || $(".failed", row));
    row.hidden = !match;
    shown += match;
  }
  const narrowed = words.length > 0 || onlyErrors;
  const report = $("[data-filter-report]");
  if (report) report.textContent = narrowed ? `${shown} of ${rows.length} rows on this page` : "";
  const none = $("[data-filter-none]");
  if (none) none.hidden = !(narrowed && shown === 0);
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-filter], [data-only-errors]")) applyFilter();
});

// — clock: the words of templatetags/units.py `ago`, kept true —
function ago(then) {
  const seconds = Math.trunc((Date.now() - then) / 1000);
  if (seconds < 5) return "just now";
  for (const [limit, length, unit] of [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [604800, 86400, "d"]]) {
    if (seconds < limit) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return null;
}

function tick() {
  for (const time of $$("time[data-ago]")) {
    const words = ago(Date.parse(time.dateTime));
    if (words && time.textContent !== words) time.textContent = words;
  }
}
setInterval(tick, 1000);

// — keyboard —
function step(direction) {
  const stops = $$("[data-row]:not([hidden])").map((row) => $("summary, a.name", row)).filter(Boolean);
  const here = stops.indexOf(document.activeElement);
  const next = stops[here === -1 ? (direction > 0 ? 0 : stops.length - 1) : here + direction];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const NEEDS = { search: "[data-filter], [data-search]", rows: "[data-row]", pause: "[data-pause]" };

function showHelp() {
  for (const line of $$("#help [data-needs]")) line.hidden = !$(NEEDS[line.dataset.needs]); // what works on this page
  $("#help")?.showModal();
}

const KEYS = {
  "/": () => { $(NEEDS.search)?.focus(); },
  "?": showHelp,
  j: () => step(1),
  k: () => step(-1),
  p: () => $("[data-pause]") && setPaused(!paused),
};
let going = 0; // when `g` was last pressed

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if ($("dialog[open]")) return;
  const place = Date.now() - going < 1500 && $$(".nav [data-key]").find((link) => link.dataset.key === event.key);
  if (place) return void location.assign(place.href);
  going = event.key === "g" ? Date.now() : 0;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// — charts: the words of the column under the pointer —
document.addEventListener("pointerover", (event) => {
  const chart = event.target.closest("[data-chart]");
  for (const line of $$("[data-readout]")) line.textContent = chart?.contains(line) ? event.target.dataset.words ?? "" : "";
});

// — drawer: an event opens beside its list; without it the link is a page —
let openedBy = ""; // the link's id: the list may be another by the time the drawer closes

document.addEventListener("close", (event) => {
  if (event.target.id === "drawer") document.getElementById(openedBy)?.focus();
}, true);

async function openDrawer(link) {
  openedBy = link.id;
  await htmx.ajax("GET", link.dataset.drawer, { target: "#drawer-in", swap: "innerHTML" });
  const drawer = $("#drawer");
  if (drawer && !drawer.open) drawer.showModal();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-drawer]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openDrawer(link);
});

// — buttons —
if (!navigator.clipboard) for (const button of $$("[data-copy]")) button.remove(); // plain http, not on this machine

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener?.dataset.open === "help") showHelp();
  else if (opener) document.getElementById(opener.dataset.open).showModal();
  if (event.target.closest("[data-pause]")) setPaused(!paused);
  const copier = event.target.closest("[data-copy]");
  if (copier) {
    const source = $("code", copier.closest(".snippet") ?? copier) ?? $(".code:last-child", copier.closest(".side"));
    await navigator.clipboard.writeText(source.textContent);
    copier.textContent = "Copied";
    setTimeout(() => { copier.textContent = "Copy"; }, 1500);
  }
});
