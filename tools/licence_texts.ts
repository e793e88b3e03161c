/**
 * `deno task licences`: writes the table of licence texts, lib/spdx/texts.json, from the npm
 * package spdx-license-list, and lib/spdx/identifiers.json from spdx-license-ids and
 * spdx-exceptions. To be run after a new version of a package, or a change of lib/spdx/words.ts; a
 * test compares the files with what this would write.
 *
 * Of each text, the table also has parts that stand for the licence:
 *
 * - what comes before the instructions how to apply it, as in the Apache License and the GPL: files
 *   often leave the instructions out;
 * - the notices in those instructions, which files have in place of the licence.
 */
import { brotliCompressSync, constants } from "node:zlib";
import exceptions from "spdx-exceptions/index.json" with { type: "json" };
import deprecated from "spdx-license-ids/deprecated.json" with { type: "json" };
import current from "spdx-license-ids/index.json" with { type: "json" };
import licenses from "spdx-license-list/spdx-full.json" with { type: "json" };
import { atOnce } from "../lib/async/pace.ts";
import { encodeTable, type LicenceText, type TableContent } from "../lib/spdx/table.ts";
import { wordsOf } from "../lib/spdx/words.ts";

/** The version of the SPDX list that spdx-license-list 6.12.0 has. */
export const LIST_VERSION = "3.28.0";

export const TABLE_FILE = new URL("../lib/spdx/texts.json", import.meta.url);
export const IDENTIFIERS_FILE = new URL("../lib/spdx/identifiers.json", import.meta.url);

/** A text of fewer words says too little to be found in others. */
const MIN_WORDS = 8;
/** A first paragraph of so few words is a title. */
const MAX_TITLE_WORDS = 16;

/** Part of a text that stands for a licence. */
interface Part {
  readonly id: string;
  /** The licence that has the text. */
  readonly of: string;
  readonly kind: LicenceText["kind"];
  /** The part is what this finds. */
  readonly pattern: RegExp;
  /** What is replaced in it. */
  readonly changes?: readonly (readonly [from: RegExp, to: string])[];
}

const TERMS = /^[^]*?END OF TERMS AND CONDITIONS/;

/** Licences whose instructions are often left out. */
const WITH_INSTRUCTIONS = [
  "Apache-2.0",
  "GPL-1.0-only",
  "GPL-2.0-only",
  "GPL-3.0-only",
  "AGPL-3.0-only",
  "LGPL-2.0-only",
  "LGPL-2.1-only",
];

/** Wordings that SPDX's mark-up of the BSD licences allows. */
const AUTHOR = [/copyright holders? (?:and|or) contributors/gi, "AUTHOR"] as const;
const NAME_OF_AUTHOR = [
  /Neither the name of the copyright holder nor the names of its contributors may/,
  "The name of the author may not",
] as const;

const PARTS: readonly Part[] = [
  ...WITH_INSTRUCTIONS.map((id): Part => ({ id, of: id, kind: "text", pattern: TERMS })),
  // The list has the text of the GPL behind that of the LGPL.
  {
    id: "LGPL-3.0-only",
    of: "LGPL-3.0-only",
    kind: "text",
    pattern: /^[^]*?(?=GNU GENERAL PUBLIC LICENSE)/,
  },
  // What is around the licences of Creative Commons is not part of them.
  ...["", "-NC", "-NC-ND", "-NC-SA", "-ND", "-SA"].flatMap((kind) =>
    ["1.0", "2.0", "2.5", "3.0", "4.0"].map((version): Part => ({
      id: `CC-BY${kind}-${version}`,
      of: `CC-BY${kind}-${version}`,
      kind: "text",
      pattern:
        /(?:THE WORK \(AS DEFINED BELOW\)|By exercising the Licensed Rights)[^]*?(?=Creative Commons Notice|Creative Commons is not a party|$)/,
    }))
  ),
  { id: "CC0-1.0", of: "CC0-1.0", kind: "text", pattern: /Statement of Purpose[^]*/ },
  ...[[NAME_OF_AUTHOR], [NAME_OF_AUTHOR, AUTHOR]].map((changes): Part => ({
    id: "BSD-3-Clause",
    of: "BSD-3-Clause",
    kind: "text",
    pattern: /^[^]*/,
    changes,
  })),
  {
    id: "Apache-2.0",
    of: "Apache-2.0",
    kind: "notice",
    pattern: /Licensed under the Apache License, Version 2\.0 \(the "License"\);[^]*/,
  },
  {
    id: "MPL-2.0",
    of: "MPL-2.0",
    kind: "notice",
    pattern: /This Source Code Form is subject to the terms[^]*?(?=\n\s*\n)/,
  },
  ...gplNotices(),
];

/** The notices of the GPL and its kin, which differ in a few words. */
function gplNotices(): Part[] {
  const kin = [
    { id: "GPL-1.0", name: "GNU General Public License" },
    { id: "GPL-2.0", name: "GNU General Public License" },
    { id: "GPL-3.0", name: "GNU General Public License" },
    { id: "AGPL-3.0", name: "GNU Affero General Public License" },
    { id: "LGPL-2.0", name: "GNU Library General Public License" },
    { id: "LGPL-2.1", name: "GNU Lesser General Public License" },
    { id: "LGPL-3.0", name: "GNU Lesser General Public License" },
  ];
  const version = (id: string) => id.replace(/^.*-/, "").replace(".0", "");
  return kin.flatMap(({ id, name }) => {
    const named: Part["changes"] = [
      [/GNU General Public License\b/g, `${name} `],
      [/version 2 /, `version ${version(id)}  `],
    ];
    const only: Part["changes"] = [[/either version/, "version"], [
      /, or \(at.*any later version/,
      "",
    ]];
    const ends: Part["changes"][] = [
      [],
      [[/if not, write to[^]*/, "If not, see <http://www.gnu.org/licenses/>."]],
      [[/You should have received[^]*/, ""]],
    ];
    return ends.flatMap((end = []): Part[] =>
      [{ suffix: "or-later", changes: [] }, { suffix: "only", changes: only }]
        .map(({ suffix, changes }) => ({
          id: `${id}-${suffix}`,
          of: "GPL-2.0-only",
          kind: "notice",
          pattern: /This program is free software[^]*?USA\./,
          changes: [...named, ...changes, ...end],
        }))
    );
  });
}

/** What the table is made of. */
export function makeContent(): TableContent {
  const builder = new Builder();
  const groups = Map.groupBy(
    Object.entries(licenses),
    ([, { licenseText }]) => atOnce(wordsOf(licenseText)).join(" "),
  );
  for (const group of groups.values()) {
    const [first] = group.toSorted(([a], [b]) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1));
    if (first !== undefined) builder.addText(currentId(first[0]), first[1]);
  }
  builder.addText(COMMONS_CLAUSE.id, COMMONS_CLAUSE);
  for (const part of PARTS) builder.addPart(part, licenseOf(part.of));
  return builder.content;
}

interface License {
  readonly name: string;
  readonly licenseText: string;
}

function licenseOf(id: string): License {
  const license = Object.entries(licenses).find(([other]) => other === id)?.[1];
  if (license === undefined) throw new Error(`Cannot find the license ${id}`);
  return license;
}

/** Which of the licences with one text gives it its name: the least that it can mean. */
function rankOf(id: string): number {
  const isDeprecated = !current.includes(id);
  const isMore = /-or-later$|\+$|-no-|exception/.test(id);
  return (isDeprecated ? 2000 : 0) + (isMore ? 1000 : 0) + id.length;
}

/** A condition that is put before a licence, and is not on the list. */
const COMMONS_CLAUSE = {
  id: "LicenseRef-Commons-Clause",
  name: "Commons Clause License Condition v1.0",
  licenseText: `"Commons Clause" License Condition v1.0

The Software is provided to you by the Licensor under the License, as defined below, subject to the
following condition. Without limiting other conditions in the License, the grant of rights under the
License will not include, and the License does not grant to you, the right to Sell the Software. For
purposes of the foregoing, "Sell" means practicing any or all of the rights granted to you under the
License to provide to third parties, for a fee or other consideration (including without limitation
fees for hosting or consulting/ support services related to the Software), a product or service
whose value derives, entirely or substantially, from the functionality of the Software. Any license
notice or attribution required by the License must also include this Commons Clause License
Condition notice.`,
};

/** Deprecated identifiers with texts of their own, and what SPDX has in their place. */
const SUCCESSORS: Readonly<Record<string, string>> = {
  "BSD-2-Clause-FreeBSD": "BSD-2-Clause-Views",
  "BSD-2-Clause-NetBSD": "BSD-2-Clause",
  "GPL-2.0-with-GCC-exception": "GPL-2.0-or-later WITH GCC-exception-2.0",
  "GPL-2.0-with-autoconf-exception": "GPL-2.0-or-later WITH Autoconf-exception-2.0",
  "GPL-2.0-with-bison-exception": "GPL-2.0-or-later WITH Bison-exception-2.2",
  "GPL-2.0-with-classpath-exception": "GPL-2.0-or-later WITH Classpath-exception-2.0",
  "GPL-2.0-with-font-exception": "GPL-2.0-or-later WITH Font-exception-2.0",
  "GPL-3.0-with-GCC-exception": "GPL-3.0-or-later WITH GCC-exception-3.1",
  "GPL-3.0-with-autoconf-exception": "GPL-3.0-or-later WITH Autoconf-exception-3.0",
  "Nunit": "zlib-acknowledgement",
  "StandardML-NJ": "SMLNJ",
  "bzip2-1.0.5": "bzip2-1.0.6",
  "eCos-2.0": "GPL-2.0-or-later WITH eCos-exception-2.0",
  "wxWindows": "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
};

/** The GPL and its kin say in a notice which version is meant; the text alone is the least. */
function currentId(id: string): string {
  const base = id.replace(/\+$/, "");
  return SUCCESSORS[id] ?? (current.includes(`${base}-only`) ? `${base}-only` : id);
}

class Builder {
  readonly #words = new Map<string, number>();
  readonly #sequence: number[] = [];
  readonly #texts: LicenceText[] = [];

  get content(): TableContent {
    return {
      words: [...this.#words.keys()],
      texts: this.#texts,
      sequence: new Uint16Array(this.#sequence),
    };
  }

  addText(id: string, { name, licenseText }: License): void {
    const text = licenseText.replaceAll("\r", "");
    this.#add({ id, name, kind: "text", words: atOnce(wordsOf(text)), titleWords: titleOf(text) });
  }

  addPart({ id, kind, pattern, changes = [] }: Part, { name, licenseText }: License): void {
    const [part] = pattern.exec(licenseText.replaceAll("\r", "")) ?? [];
    if (part === undefined) throw new Error(`Cannot find ${pattern} in ${name}`);
    const text = changes.reduce((text, [from, to]) => {
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`Cannot find ${from} in ${name}`);
      return changed;
    }, part);
    this.#add({
      id,
      name,
      kind,
      words: atOnce(wordsOf(text)),
      titleWords: kind === "text" ? titleOf(text) : 0,
    });
  }

  #add(
    { words, ...text }: Omit<LicenceText, "start" | "end"> & { words: readonly string[] },
  ): void {
    if (words.length - text.titleWords < MIN_WORDS) return;
    const start = this.#sequence.length;
    for (const word of words) this.#sequence.push(this.#numberOf(word));
    this.#texts.push({ ...text, start, end: this.#sequence.length });
  }

  #numberOf(word: string): number {
    const known = this.#words.get(word) ?? this.#words.size + 1;
    this.#words.set(word, known);
    return known;
  }
}

/** Licences of the Free Software Foundation say this about their own text, others do like them. */
const FSF_TITLE = /^[^]{0,600}?\bchanging it is not allowed\.?/;

/** How many words the title has: what comes before the first blank line, if it is short. */
function titleOf(text: string): number {
  const [verbatim] = FSF_TITLE.exec(text) ?? [];
  if (verbatim !== undefined) return atOnce(wordsOf(verbatim)).length;
  const [title = ""] = /^\s*[^]*?(?=\n[ \t]*\n)/.exec(text) ?? [];
  const { length } = atOnce(wordsOf(title));
  return length <= MAX_TITLE_WORDS ? length : 0;
}

/** The content of the file. */
export function makeTableFile(): string {
  const packed = brotliCompressSync(encodeTable(makeContent()), {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    },
  });
  return `${JSON.stringify({ list: LIST_VERSION, packed: packed.toString("base64") }, null, 2)}\n`;
}

/** The content of the file with all identifiers. */
export function makeIdentifiersFile(): string {
  return `${JSON.stringify({ current, deprecated, exceptions }, null, 2)}\n`;
}

if (import.meta.main) {
  await Deno.writeTextFile(TABLE_FILE, makeTableFile());
  await Deno.writeTextFile(IDENTIFIERS_FILE, makeIdentifiersFile());
}
