// The thank-you: number, link, and a kind word when others were first.
import { $, el, sentence } from "../lib/dom.js";
import { moment } from "../lib/format.js";
import { page, t, trackUrl } from "../lib/page.js";

/** Shows the answer to a report: the request's document with its tracking token. */
export function showSent({ request_id: id, tracking_token: token, duplicates, sla }) {
  const link = new URL(trackUrl(id, token), location.origin).href;
  $("sent-text").textContent = t("sent.text");
  $("sent-id").textContent = id;
  $("sent-link").href = link;
  $("sent-duplicate").hidden = duplicates?.is_master !== false;
  if (duplicates?.is_master === false) {
    const master = duplicates.master_request_id;
    $("sent-duplicate").replaceChildren(...sentence(page.texts["sent.duplicate"], { master: el("a", { href: trackUrl(master) }, master) }));
  }
  $("sent-sla").textContent = sla?.due_at ? t("sent.sla", { due: moment(sla.due_at) }) : "";
  const copy = $("sent-copy");
  copy.hidden = !navigator.clipboard;
  copy.lastElementChild.textContent = t("sent.copy");
  copy.onclick = async () => {
    await navigator.clipboard.writeText(link);
    copy.lastElementChild.textContent = t("sent.copied");
  };
  $("sent-dialog").showModal();
  $("sent-link").focus();
}
