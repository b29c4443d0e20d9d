// Keeps the list over a reload of this tab: records, captions and thumbnails, not the pictures themselves.

const NAME = "unprompt-page";
const STORE = "entries";
const SESSION = "unprompt-session";
const LAST = "unprompt-last";
const KEPT_MS = 24 * 3600 * 1000;

const session = sessionStorage.getItem(SESSION) ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
sessionStorage.setItem(SESSION, session);

let opening = null;

/** All entries of this tab, in the order in which they were added. Those of tabs long closed are deleted. */
export async function load() {
  const now = Date.now();
  const found = [];
  await within("readwrite", (store) => {
    store.openCursor().onsuccess = ({ target: { result: cursor } }) => {
      if (!cursor) return;
      if (cursor.value.session === session) found.push(cursor.value.entry);
      else if (now - cursor.value.saved > KEPT_MS) cursor.delete();
      cursor.continue();
    };
  });
  const known = new Map(found.map((entry) => [entry.id, entry]));
  for (const { vector, ...rest } of JSON.parse(sessionStorage.getItem(LAST) ?? "[]")) {
    const last = { ...rest, vector: vector && Float32Array.from(vector) };
    if (known.has(last.id)) Object.assign(known.get(last.id), last);
    else found.push({ ...last, thumbnail: null });
  }
  sessionStorage.removeItem(LAST);
  return found.sort((one, other) => one.id - other.id);
}

/** Keeps what changed in the last moment before the page is left: the database would not be done in time. */
export function saveAtOnce(entries) {
  const plain = ({ thumbnail: _blob, vector, ...rest }) => ({ ...rest, vector: vector && Array.from(vector) });
  try {
    sessionStorage.setItem(LAST, JSON.stringify(entries.map(plain)));
  } catch { /* more than the browser keeps: the database has what is older */ }
}

/** Keeps some entries, or what has changed of them. */
export async function save(entries) {
  await within("readwrite", (store) => {
    for (const entry of entries) store.put({ key: `${session} ${entry.id}`, session, saved: Date.now(), entry });
  });
}

/** Forgets some entries. */
export async function forget(entries) {
  await within("readwrite", (store) => {
    for (const entry of entries) store.delete(`${session} ${entry.id}`);
  });
}

/** Runs `use` in a transaction. Where the browser keeps nothing (private windows), nothing is kept. */
async function within(mode, use) {
  try {
    const database = await (opening ??= opened());
    await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      use(transaction.objectStore(STORE));
    });
  } catch (error) {
    console.warn("nothing is kept over a reload:", error?.message);
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
