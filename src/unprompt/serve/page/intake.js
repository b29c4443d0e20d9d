// The ways in: choosing, dropping and pasting files, and whole folders.

const ENDING = /\.(png|apng|jpe?g|jfif|webp|gif|bmp|dib|tiff?|avif|heic|heif|jxl)$/i;
const MOST = 20000;

/**
 * Watches all ways in. `took(found)` gets {files: [{file, name, pasted}], others: names of files that are no pictures,
 * isFolder, isAddress}.
 */
export function watchIntake(took) {
  const files = document.getElementById("files");
  const folder = document.getElementById("folder");
  document.getElementById("choose").addEventListener("click", () => files.click());
  document.getElementById("choose-folder").addEventListener("click", () => folder.click());
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      took(sorted([...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })), input === folder));
      input.value = ""; // or the same file could not be chosen again
    });
  }
  watchDrops(took);
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    took(sorted(pasted.map((file) => ({ file, name: file.name || "pasted.png", pasted: true })), false));
  });
}

function watchDrops(took) {
  const veil = document.getElementById("veil");
  let depth = 0;
  const show = (shown) => { veil.hidden = !shown; };
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");
  document.addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  document.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("drop", async (event) => {
    depth = 0;
    show(false);
    if (!carries(event)) return;
    event.preventDefault();
    const { files, isFolder } = await dropped(event.dataTransfer);
    took({ ...sorted(files, isFolder), isAddress: !files.length });
  });
}

/** The files of a drop, those in folders included. The entries have to be asked for before the first await. */
async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const roots = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...transfer.files];
  if (!roots.some((root) => root?.isDirectory)) {
    return { files: plain.map((file) => ({ file, name: file.name })), isFolder: false };
  }
  const found = [];
  for (const root of roots) if (root) await walk(root, found);
  return { files: found, isFolder: true };
}

async function walk(entry, found) {
  if (found.length >= MOST) return;
  if (entry.isFile) {
    const file = await new Promise((resolve) => { entry.file(resolve, () => resolve(null)); });
    if (file) found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A folder's names come by the hundred.
    const some = await new Promise((resolve) => { reader.readEntries(resolve, () => resolve([])); });
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}

function sorted(found, isFolder) {
  const visible = found.filter(({ name }) => !(isFolder && /(^|\/)\./.test(name)));
  const isPicture = ({ file, name }) => ENDING.test(name) || /^image\/(?!svg)/.test(file.type);
  const files = visible.filter(isPicture).slice(0, MOST).map((each) => ({ pasted: false, ...each }));
  if (isFolder) files.sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  return { files, others: visible.filter((each) => !isPicture(each)).map(({ name }) => name), isFolder, isAddress: false };
}
