"use strict";
// Escape, arrows and focus while a zoom is open. Without this script its links do the same.
(() => {
  const zooms = [...document.querySelectorAll(".zoom")];
  const behind = document.querySelectorAll("[data-behind], .scene > :not(.zoom)");
  let opened = null;
  let scrolled = 0;

  const current = () => zooms.find((zoom) => "#" + zoom.id === location.hash) ?? null;

  function follow() {
    const zoom = current();
    if (zoom && !opened) scrolled = scrollY;
    behind.forEach((part) => { part.inert = zoom !== null; });
    if (zoom) zoom.querySelector(".close").focus();
    else if (opened) leave(opened);
    opened = zoom;
  }

  function leave(zoom) {
    document.querySelector(`.chips a[href="#${zoom.id}"]`).focus({ preventScroll: true });
    if (location.hash.startsWith("#scene-")) scrollTo({ top: scrolled, behavior: "instant" });
  }

  function press(event) {
    const kind = { Escape: ".close", ArrowLeft: ".previous", ArrowRight: ".next" }[event.key];
    const link = kind && current()?.querySelector(kind);
    if (!link || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    link.click();
  }

  addEventListener("hashchange", follow);
  addEventListener("keydown", press);
  follow();
})();
