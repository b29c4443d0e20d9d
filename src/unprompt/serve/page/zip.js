// Writes .zip files, stored without compression: captions are small. Source: PKWARE's APPNOTE 6.3, sections 4.3 to 4.4.

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
const UTF8_NAMES = 0x0800;

/** A .zip of texts in UTF-8: [{path, text}]. */
export async function zip(files, date = new Date()) {
  const encoder = new TextEncoder();
  const parts = [];
  const directory = [];
  let place = 0;
  for (const { path, text } of files) {
    const name = encoder.encode(path);
    const content = encoder.encode(text);
    const about = common(content, name, date);
    const local = record(0x04034b50, [about]);
    parts.push(local, name, content);
    // made by: version 2.0; after the common part: comment, disk, attributes, and where the file begins
    directory.push(record(0x02014b50, [Uint8Array.of(20, 0), about, words([[0, 2], [0, 2], [0, 2], [0, 4], [place, 4]])]), name);
    place += local.length + name.length + content.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  if (count > 0xffff || place + size > 0xffffffff) throw new Error("a .zip holds 65,535 files and 4 GB at most");
  const end = record(0x06054b50, [words([[0, 2], [0, 2], [count, 2], [count, 2], [size, 4], [place, 4], [0, 2]])]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** What the header of a file and its entry in the directory have in common. */
function common(content, name, date) {
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  const day = (Math.max(0, date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  const size = content.length;
  return words([[20, 2], [UTF8_NAMES, 2], [0, 2], [time, 2], [day, 2], [crc32(content), 4], [size, 4], [size, 4], [name.length, 2], [0, 2]]);
}

function record(signature, parts) {
  const all = [words([[signature, 4]]), ...parts];
  const joined = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Numbers with their sizes in bytes, little-endian. */
function words(numbers) {
  const view = new DataView(new ArrayBuffer(numbers.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [number, size] of numbers) {
    if (size === 2) view.setUint16(at, number, true);
    else view.setUint32(at, number, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
