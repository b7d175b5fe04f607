// Small means to write into the page. What comes from outside is written as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** A copy of a template, and its parts by the names in `data-part`. */
export function stamp(templateId) {
  const root = byId(templateId).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const part of root.querySelectorAll("[data-part]")) parts[part.dataset.part] = part;
  return { root, ...parts };
}

/** Set the text, if it is another. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set a state's colour and shape (see `words.js`) and its word. */
export function writeState(node, wordNode, tone, word) {
  if (node.dataset.tone !== tone) node.dataset.tone = tone;
  write(wordNode, word);
}

/** Say why a list is empty, or hide the sentence. */
export function explain(node, sentence) {
  node.hidden = !sentence;
  write(node, sentence);
}

/** Make a select offer exactly these values after its first option; the chosen one stays. */
export function offer(select, values) {
  const offered = [...select.options].slice(1).map((option) => option.value);
  if (offered.length === values.length && offered.every((each, at) => each === values[at])) return;
  const chosen = select.value;
  const options = values.map((value) => new Option(value, value));
  select.replaceChildren(select.options[0], ...options);
  if (chosen && !values.includes(chosen)) select.append(new Option(chosen, chosen));
  select.value = chosen;
}

/** Paint at most once a frame and every `apartMs()`, whatever was asked for in between. */
export function painter(paint, apartMs = () => 0) {
  let asked = false;
  let paintedAt = 0;
  const frame = (now) => {
    if (now - paintedAt < apartMs()) {
      requestAnimationFrame(frame);
      return;
    }
    asked = false;
    paintedAt = now;
    paint();
  };
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(frame);
  };
}
