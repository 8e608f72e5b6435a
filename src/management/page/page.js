"use strict";
// Makes the page more convenient. It works without, except for Copy.

// For those who do not see it.
const say = (text) => {
  document.getElementById("said").textContent = text;
};

// Clipboard access needs a secure context: without one, select the text and copy that.
const write = async (element) => {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
};

// The dialog with a plaintext, and whether that has been copied.
const shown = document.querySelector("[data-shown]");
let isCopied = false;
const hasPlaintext = (text) =>
  shown !== null && text.includes(document.getElementById("plaintext").textContent);

for (const button of document.querySelectorAll("[data-copy]")) {
  const element = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await write(element);
    isCopied ||= done && hasPlaintext(element.textContent);
    button.classList.toggle("copied", done);
    setTimeout(() => button.classList.remove("copied"), 2000);
    say(done ? "Copied" : "Copying did not work: select the text and copy it");
  });
}

if (shown) {
  const plaintext = document.getElementById("plaintext");
  // By hand, too: it is selected from the beginning, and by a click, which would deselect it.
  getSelection().selectAllChildren(plaintext);
  plaintext.addEventListener("mousedown", () => getSelection().removeAllRanges());
  document.addEventListener("copy", () => {
    isCopied ||= hasPlaintext(getSelection().toString());
  });
  addEventListener("beforeunload", (event) => {
    if (!isCopied) event.preventDefault();
  });
  // To reload is to see the list, not to send the form again.
  history.replaceState(null, "", shown.dataset.shown);
  addEventListener("pagehide", () => shown.remove());
}

// The browser may keep a page for its button Back: a list that is out of date, or a form that has
// made its token.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("[data-cancel]")?.click();
});

// The exact time is in the reader's time zone.
for (const time of document.querySelectorAll("time")) {
  time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "long", timeStyle: "long" });
}
