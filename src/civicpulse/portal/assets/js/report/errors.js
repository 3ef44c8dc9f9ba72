// What is wrong with the form: said once at its head, and again at each field.
import { $, el } from "../lib/dom.js";
import { t } from "../lib/page.js";

/** Takes away the errors, or the one under `errorId`. */
export function clearErrors(errorId) {
  const places = errorId ? [$(errorId)] : document.querySelectorAll("#report-form .cp-field-error");
  for (const place of places) {
    place.textContent = "";
    for (const field of document.querySelectorAll(`[aria-describedby~="${place.id}"]`)) field.removeAttribute("aria-invalid");
  }
  if (![...document.querySelectorAll("#report-form .cp-field-error")].some(({ textContent }) => textContent)) $("report-errors").hidden = true;
}

/** Shows `problems`: [{id of the field, id of its error line, text}]; the first field gets the focus. */
export function showErrors(problems) {
  for (const { id, error, text } of problems) {
    if (!error) continue;
    $(error).textContent = text;
    for (const field of document.querySelectorAll(`[aria-describedby~="${error}"]`)) field.setAttribute("aria-invalid", "true");
    $(id)?.setAttribute("aria-describedby", [...new Set([...($(id).getAttribute("aria-describedby") ?? "").split(" "), error])].join(" ").trim());
  }
  const box = $("report-errors");
  box.replaceChildren(el("p", {}, t("report.errors")), el("ul", {}, ...problems.map(({ text }) => el("li", {}, text))));
  box.hidden = false;
  const first = problems.find(({ id }) => id);
  (first ? $(first.id) : box).focus();
}
