// Shows the values under the pointer. The page is complete without it.
"use strict";
(() => {
  const DECADES = 4; // the percentile axis ends at 99.99 %

  const trim = (value) => String(Number(value.toPrecision(3)));

  function seconds(value) {
    if (value === 0) return "0 s";
    if (value < 1e-3) return trim(value * 1e6) + " µs";
    if (value < 1) return trim(value * 1e3) + " ms";
    return value < 120 ? trim(value) + " s" : trim(value / 60) + " min";
  }

  function octets(value) {
    const units = ["B", "KiB", "MiB", "GiB"];
    let i = 0;
    while (value >= 1024 && i < units.length - 1) { value /= 1024; i += 1; }
    return trim(value) + " " + units[i];
  }

  const READ = {
    count: (value) => Math.round(value).toLocaleString("en-US"),
    seconds,
    octets,
    rate: (value) => octets(value) + "/s",
    cores: (value) => trim(value) + (value === 1 ? " core" : " cores"),
  };

  function clock(value) {
    const whole = Math.round(value);
    const parts = [[3600, "h"], [60, "min"], [1, "s"]].map(([size, unit]) => {
      const count = unit === "h" ? Math.floor(whole / size) : Math.floor(whole / size) % 60;
      return count ? count + " " + unit : "";
    });
    return parts.filter(Boolean).join(" ") || "0 s";
  }

  function along(axis, place) {
    if (axis.kind === "percentile") return trimNines(100 * (1 - 10 ** (-place * DECADES)));
    return clock(axis.low + place * (axis.high - axis.low));
  }

  const trimNines = (value) => value.toFixed(value > 99 ? 2 : 1) + " %";

  function nearest(points, place) {
    let low = 0;
    let high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < place) low = middle; else high = middle;
    }
    return place - points[low][0] < points[high][0] - place ? points[low] : points[high];
  }

  function row(line, text) {
    const item = document.createElement("div");
    const key = document.createElement("span");
    key.className = "key c" + line.colour;
    const label = document.createElement("span");
    label.textContent = line.label;
    const value = document.createElement("b");
    value.textContent = text;
    item.append(key, label, value);
    return item;
  }

  function enhance(plot) {
    const chart = JSON.parse(plot.querySelector("script").textContent);
    const cursor = document.createElement("div");
    cursor.className = "cursor";
    const tip = document.createElement("div");
    tip.className = "tip";
    plot.append(cursor, tip);

    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const place = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      const when = document.createElement("div");
      when.className = "when";
      when.textContent = along(chart.x, place);
      const rows = chart.lines
        .filter((line) => line.points.length)
        .map((line) => row(line, READ[chart.unit](nearest(line.points, place)[1])));
      tip.replaceChildren(when, ...rows);
      cursor.style.left = tip.style.left = place * 100 + "%";
      tip.classList.toggle("flip", place > 0.6);
      plot.classList.add("pointed");
    });
    plot.addEventListener("pointerleave", () => plot.classList.remove("pointed"));
  }

  const plots = document.querySelectorAll(".plot");
  plots.forEach(enhance);
  document.documentElement.dataset.charts = String(plots.length);
})();
