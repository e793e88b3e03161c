/**
 * A guess shares its flight (async/single_flight.ts) with the clients that ask meanwhile. It makes
 * one attempt and may not do all that a client's own fetch may, so its failure is not theirs: it
 * goes to them as a {@linkcode GuessError}, and they fetch themselves.
 */

/** That a guess has failed. Its cause is the failure. */
class GuessError extends Error {}

/** The work of a guess, with its failure marked. */
export async function guessing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new GuessError("a guess has failed", { cause });
  }
}

/** Runs or joins a flight for a client: once more if that was a guess that failed. */
export async function runAsked<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof GuessError)) throw error;
    return await run();
  }
}

/** Runs or joins a flight for a guess. Throws its failure. */
export async function runGuess<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof GuessError ? error.cause : error;
  }
}
