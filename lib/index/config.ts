/** The key `index`: which published modules `/index` lists. */
import { z } from "zod";

export const index = z.enum(["private", "all", "off"]).default("private");
