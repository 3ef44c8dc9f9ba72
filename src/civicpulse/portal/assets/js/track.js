// One request: how far it is, when it will be solved, where it is, and a word from its reporter.
import { ApiError, get } from "./lib/api.js";
import { categories, categoryName } from "./lib/categories.js";
import { $, el, sentence } from "./lib/dom.js";
import { ago, duration, moment } from "./lib/format.js";
import { setUpHeader } from "./lib/header.js";
import { page, t, tn, trackUrl } from "./lib/page.js";
import { setUpRating } from "./rating.js";

const EVERY_MS = 30_000;
const STEPS = ["created", "triaged", "assigned", "in_progress", "resolved", "closed"];
const ENDED = STEPS.indexOf("resolved");
const token = new URLSearchParams(location.hash.slice(1)).get("token");

/** How far it is: `waiting`, or the stage that it reached last. Neither depends on how a tenant names its states. */
function stageOf({ timestamps, workflow: { state_category: category } }) {
  if (category !== "open") return category;
  return STEPS.slice(0, ENDED).findLast((step) => timestamps[`${step}_at`]) ?? STEPS[0];
}

function showHead(request) {
  const { request_id: id, workflow } = request;
  document.title = document.title.replace(page.request_id, id);
  $("track-id").textContent = id;
  $("track-heading").textContent = t(`stage.${stageOf(request)}`);
  $("track-lead").textContent = t(`stage.${stageOf(request)}.lead`);
  $("track-state").textContent = workflow.state_title;
  $("track-state").dataset.state = workflow.state_category;
  $("track-state").hidden = false;
}

function showDuplicate({ duplicates }) {
  const box = $("track-duplicate");
  const others = duplicates?.linked_duplicates?.length ?? 0;
  const isDuplicate = duplicates?.is_master === false;
  box.hidden = !isDuplicate && others === 0;
  if (isDuplicate) {
    const master = duplicates.master_request_id;
    box.replaceChildren(...sentence(page.texts["track.duplicate"], { master: el("a", { href: trackUrl(master) }, master) }));
  } else if (others) box.replaceChildren(tn("track.duplicates", others));
}

function promiseNote({ sla, timestamps }) {
  if (timestamps.resolved_at) return sla.met === false ? t("promise.missed") : t("promise.kept", { ago: ago(timestamps.resolved_at) });
  if (sla.paused) return t("promise.note.paused");
  const left = (new Date(sla.due_at) - Date.now()) / 1000;
  if (left <= 0) return t("promise.note.overdue");
  return t(sla.state === "at_risk" ? "promise.note.at_risk" : "promise.note.on_time", { left: duration(left, "long") });
}

function showPromise(request) {
  const { sla, timestamps } = request;
  $("track-promise").hidden = !sla?.due_at;
  if (!sla?.due_at) return;
  const [from, to] = [new Date(timestamps.created_at), new Date(sla.due_at)];
  const now = timestamps.resolved_at ? new Date(timestamps.resolved_at) : new Date();
  $("promise-text").textContent = t("promise.due", { due: moment(sla.due_at) });
  $("promise-bar").value = Math.min(100, Math.max(2, ((now - from) / Math.max(1, to - from)) * 100));
  const isLate = timestamps.resolved_at ? sla.met === false : now > to;
  $("promise-bar").dataset.state = isLate ? "late" : sla.state === "at_risk" ? "at_risk" : timestamps.resolved_at ? "done" : "on_time";
  $("promise-note").textContent = promiseNote(request);
}

function showTimeline({ timestamps, workflow }) {
  const reached = STEPS.map((step) => timestamps[`${step}_at`]);
  const last = reached.findLastIndex(Boolean);
  const isOver = workflow.state_category === "closed";
  $("timeline").replaceChildren(...STEPS.map((step, index) => {
    const at = reached[index];
    const state = at ? (index === last && !isOver ? "current" : "done") : index < last || isOver ? "skipped" : "pending";
    const isBefore = at && new Date(at) < new Date(timestamps.created_at);
    const when = isBefore ? t("timeline.before") : at ? el("time", { datetime: at, title: moment(at) }, `${moment(at)} · ${ago(at)}`) : t(`timeline.${state}`);
    return el("li", { class: `cp-step cp-step-${state}`, "aria-current": state === "current" ? "step" : null },
      el("span", { class: "cp-step-name" }, t(`timeline.${step}`)), el("span", { class: "cp-step-time" }, when));
  }));
  $("track-timeline").hidden = false;
}

async function showFacts(request, zoneName) {
  await categories().catch(() => null); // names are nicer; codes will do
  const facts = [
    ["track.category", categoryName(request.category)],
    ["track.description", request.description],
    ["track.address", request.location?.address_hint],
    ["track.zone", zoneName],
    ["track.reported", moment(request.timestamps.created_at)],
  ].filter(([, value]) => value);
  $("track-facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, t(name)), el("dd", {}, value))));
  $("track-place").hidden = false;
}

async function showPlace(request) {
  const point = request.location?.coordinates;
  const zones = await get("/analytics/geofeeds/zones").catch(() => ({ features: [] })); // the map is an extra: the facts come without it
  const zone = zones.features.find(({ properties, geometry }) => geometry && properties.zone_id === request.location?.zone_id);
  await showFacts(request, zone?.properties.name);
  if (!point) {
    $("map").hidden = true;
    return;
  }
  try {
    const { showPoint } = await import("./map/point-map.js");
    await showPoint($("map"), point, zones, zone);
  } catch (error) {
    console.warn("the map could not be loaded", error);
    $("map").hidden = true;
  }
}

function showMissing(error) {
  const kind = error.status === 0 || error.status >= 500 ? "failed" : "missing";
  $("track-heading").textContent = t(`track.${kind}.heading`);
  $("track-lead").textContent = t(`track.${kind}.explanation`);
  $("main").dataset.state = kind;
}

function show(request) {
  showHead(request);
  showDuplicate(request);
  showPromise(request);
  showTimeline(request);
  setUpRating(request, token, start);
}

const read = () => get(`/requests/${encodeURIComponent(page.request_id)}`, { headers: token ? { "X-Tracking-Token": token } : {} });

async function start() {
  try {
    const request = await read();
    show(request);
    await showPlace(request);
    $("main").dataset.state = "ready";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showMissing(error);
  }
}

setUpHeader();
await start();
setInterval(() => {
  if (document.visibilityState === "visible" && $("main").dataset.state === "ready") read().then(show, () => null); // the next try is half a minute away
}, EVERY_MS);
