/**
 * Which source a module path has: a private prefix has its own and never another; everything else
 * is public.
 */
import type { ModulePath } from "../module/path.ts";
import type { Source } from "./source.ts";
import { type Question, SourceDecorator } from "./source_decorator.ts";

export interface SourceChoice {
  /**
   * The source of a private path, null for a public one. It throws for a path that is neither, and
   * callers get that error.
   */
  readonly findPrivate: (path: ModulePath) => Source | null;
  readonly publicSource: Source;
}

export class SourceByPath extends SourceDecorator {
  override readonly description: string;
  readonly #choice: SourceChoice;

  constructor(choice: SourceChoice) {
    super();
    this.description = choice.publicSource.description;
    this.#choice = choice;
  }

  protected override async around<T>(
    { path }: Question,
    ask: (source: Source) => Promise<T>,
  ): Promise<T> {
    return await ask(this.#choice.findPrivate(path) ?? this.#choice.publicSource);
  }
}
