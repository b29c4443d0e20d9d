// Small pictures for the list, made one after the other so that a folder of large ones does not fill the memory.

const SIDE = 360;

/** Makes the thumbnail of each new entry, unless the browser cannot show its format. */
export class Thumbnails {
  constructor(entries) {
    this.entries = entries;
    this.waiting = [];
    this.addresses = new Map();
    entries.addEventListener("added", ({ detail }) => {
      this.waiting.push(...detail.filter((entry) => !entry.thumbnail && entries.files.has(entry.id)));
      this.run();
    });
    entries.addEventListener("removed", ({ detail }) => {
      for (const entry of detail) {
        URL.revokeObjectURL(this.addresses.get(entry.id));
        this.addresses.delete(entry.id);
      }
    });
  }

  /** The address of an entry's thumbnail; null if it has none yet. */
  address(entry) {
    if (!entry.thumbnail) return null;
    if (!this.addresses.has(entry.id)) this.addresses.set(entry.id, URL.createObjectURL(entry.thumbnail));
    return this.addresses.get(entry.id);
  }

  async run() {
    if (this.isRunning) return;
    this.isRunning = true;
    while (this.waiting.length) {
      const entry = this.waiting.shift();
      const file = this.entries.files.get(entry.id);
      if (!file) continue;
      try {
        this.entries.change(entry, await reduced(file));
      } catch { // its format is unknown to the browser, or it is broken: the server says which
        this.entries.change(entry, { isUnseen: true });
      }
    }
    this.isRunning = false;
  }
}

async function reduced(file) {
  const whole = await createImageBitmap(file, { imageOrientation: "from-image" });
  const { width, height } = whole;
  const factor = Math.min(1, SIDE / Math.min(width, height), (3 * SIDE) / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor)));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // as the models see transparent places
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const thumbnail = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.82 });
  return { thumbnail, shape: [width, height] };
}
