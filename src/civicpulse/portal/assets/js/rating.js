// The reporter's rating; whoever holds the tracking token may give it.
import { ApiError, post } from "./lib/api.js";
import { $ } from "./lib/dom.js";
import { t } from "./lib/page.js";

let isSetUp = false;

function fail(text) {
  $("rating-error").textContent = text;
}

async function send(request, token, done) {
  const rating = Number(document.querySelector("#rating-form [name=rating]:checked")?.value);
  if (!rating) {
    fail(t("rating.missing"));
    $("rating-1").focus();
    return;
  }
  fail("");
  $("rating-send").disabled = true;
  const body = { rating, comment: $("rating-comment").value.trim() || null, dispute_flag: $("rating-dispute").checked, reason_codes: [] };
  try {
    await post(`/requests/${encodeURIComponent(request.request_id)}/rating`, body, { "X-Tracking-Token": token });
    $("rating-form").hidden = true;
    $("rating-thanks").hidden = false;
    done();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fail(error.status >= 400 && error.status < 500 ? error.message : t("rating.failed"));
  } finally {
    $("rating-send").disabled = false;
  }
}

/** Shows the rating box when the request is solved and not yet rated; `done()` after it was sent. */
export function setUpRating(request, token, done) {
  const isSolved = ["resolved", "closed"].includes(request.workflow.state_category) && request.timestamps.resolved_at;
  const isThanked = !$("rating-thanks").hidden;
  $("track-rating").hidden = !isThanked && !(token && isSolved && !request.citizen_feedback);
  if (isSetUp || $("track-rating").hidden) return;
  isSetUp = true;
  $("rating-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(request, token, done);
  });
}
