// The button of a lab that draws in the kernel: `room` tells the kernel how large the figure is to be.

function render({ model, el }) {
  const lab = () => el.closest(".wc-card");
  const picture = () => lab().querySelector(".wc-picture");

  function change(settings) {
    model.set("settings", settings);
    model.save_changes();
  }

  function measure() {
    const { width, height } = picture().getBoundingClientRect();
    const em = parseFloat(getComputedStyle(lab()).fontSize);
    model.set("room", { width: Math.round(width), height: Math.round(height), em, ratio: devicePixelRatio });
    model.save_changes();
  }

  const observer = new ResizeObserver(measure);
  function resized(presented) {
    observer.disconnect();
    if (presented) {
      observer.observe(picture());
    } else {
      model.set("room", {});
      model.save_changes();
    }
  }

  const { button, close } = presenter(model, lab, change, resized);
  button.className = "jupyter-widgets jupyter-button widget-button";
  el.append(button);
  return () => {
    observer.disconnect();
    close();
  };
}

export default { render };
