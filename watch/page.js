// SPDX-License-Identifier: LGPL-2.1-or-later
// What changes while one looks: the view of now, by server-sent events. Everything else works without.

const live = document.getElementById("live");

function scores(list, values) {
  list.replaceChildren(...Object.entries(values).map(([name, value]) => {
    const item = document.createElement("li"), label = document.createElement("span"), meter = document.createElement("meter");
    const percent = document.createElement("span");
    label.className = "label";
    label.textContent = name;
    meter.max = 1;
    meter.value = value;
    meter.setAttribute("aria-label", name);
    percent.className = "percent";
    percent.textContent = `${Math.round(value * 100)} %`;
    item.append(label, " ", meter, " ", percent);
    return item;
  }));
}

function local(time) {
  const date = new Date(time), two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function show(result) {
  const card = document.querySelector(`[data-camera="${CSS.escape(result.camera)}"]`);
  if (!card)
    return;
  const time = card.querySelector("time"), image = card.querySelector("img");
  card.querySelector(".seen").textContent = result.result;
  time.dateTime = result.start;
  time.textContent = local(result.start);
  if (result.picture) {
    image.src = `/picture?id=${result.picture}`;
    image.alt = result.result;
    image.hidden = false;
  }
  let list = card.querySelector(".scores");
  if (result.scores) {
    if (!list) {
      list = document.createElement("ul");
      list.className = "scores";
      card.querySelector(".seen").after(list);
    }
    scores(list, result.scores);
  }
}

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("open", () => { live.textContent = "Live"; });
  events.addEventListener("error", () => {
    live.textContent = "Not connected, trying again";
    // After a refusal a browser does not come back by itself.
    if (events.readyState === EventSource.CLOSED)
      setTimeout(listen, 3000);
  });
  events.addEventListener("result", (event) => show(JSON.parse(event.data)));
  events.addEventListener("counts", (event) => {
    for (const [camera, text] of Object.entries(JSON.parse(event.data))) {
      const counts = document.querySelector(`[data-camera="${CSS.escape(camera)}"] .counts`);
      if (counts && counts.textContent !== text)
        counts.textContent = text;
    }
  });
}

if (document.querySelector("[data-camera]"))
  listen();
