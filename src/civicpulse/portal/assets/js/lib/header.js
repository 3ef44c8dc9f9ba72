// The header's buttons and the dialog that leads to a request by its number.
import { $ } from "./dom.js";
import { t, trackUrl } from "./page.js";

const NUMBER = /^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/;

export function setUpHeader() {
  for (const button of document.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => $(button.dataset.open).showModal());
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  $("find-form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = $("find-id");
    const id = input.value.trim();
    if (NUMBER.test(id)) location.assign(trackUrl(id.toUpperCase()));
    else {
      $("find-error").textContent = t("find.error");
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
  });
}
