/**
 * Keeps tracers and loggers of the program from changing the outcome of calls.
 *
 * Effect runs them in the fiber of the call, which would die with what they throw. A guarded context has a tracer and loggers that throw nothing.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Tracer from "effect/Tracer"

/** The methods of a span that may throw. */
const methods = ["addLinks", "attribute", "end", "event"] as const

type Loggers = ReadonlySet<Logger.Logger<unknown, unknown>>

const tracers = new WeakMap<Tracer.Tracer, Tracer.Tracer>()
const knownLoggers = new WeakMap<Loggers, Loggers>()
/** A tracer may give one span several times. */
const guardedSpans = new WeakSet<Tracer.Span>()

/** Logs what a tracer throws, once for each tracer: it may throw at each call. */
const reportOnce = (): (defect: unknown) => void => {
  let isReported = false
  return (defect) => {
    if (isReported) return
    isReported = true
    const fiber = Fiber.getCurrent()
    const report = Effect.logError("the tracer threw; its spans may be incomplete", Cause.die(defect))
    if (fiber === undefined) Effect.runFork(report)
    else Effect.runForkWith(fiber.context)(guardTelemetry(report))
  }
}

/** Guards a span in place, since programs recognize the spans of their tracer. */
const guardSpan = (options: {
  readonly span: Tracer.Span
  readonly report: (defect: unknown) => void
}): Tracer.Span => {
  const { report, span } = options
  if (guardedSpans.has(span)) return span
  const own = span as unknown as Record<string, unknown>
  for (const name of methods) {
    const method = span[name] as (...args: Array<unknown>) => void
    // Defining the property would cost three times as much.
    own[name] = (...args: Array<unknown>) => {
      try {
        method.apply(span, args)
      } catch (defect) {
        report(defect)
      }
    }
  }
  guardedSpans.add(span)
  return span
}

/** Replaces a span that the tracer failed to make. It is not exported, and its trace context is not sent to servers. */
const unexported = (options: Parameters<Tracer.Tracer["span"]>[0]): Tracer.Span =>
  new Tracer.NativeSpan({ ...options, annotations: Context.add(options.annotations, Tracer.DisablePropagation, true) })

const guardTracer = (tracer: Tracer.Tracer): Tracer.Tracer => {
  const known = tracers.get(tracer)
  if (known !== undefined) return known
  const report = reportOnce()
  const guarded = Tracer.make({
    span: (options) => {
      try {
        return guardSpan({ span: tracer.span(options), report })
      } catch (defect) {
        report(defect)
        return unexported(options)
      }
    },
    context: tracer.context
  })
  tracers.set(tracer, guarded).set(guarded, guarded)
  return guarded
}

const guardLoggers = (loggers: Loggers): Loggers => {
  const known = knownLoggers.get(loggers)
  if (known !== undefined) return known
  const guarded: Loggers = new Set(
    Array.from(loggers, (logger) =>
      Logger.make((options) => {
        try {
          logger.log(options)
        } catch {
          // There is no place left to report it.
        }
      }))
  )
  knownLoggers.set(loggers, guarded).set(guarded, guarded)
  return guarded
}

/** Runs an effect with the tracer and the loggers of its context, guarded. */
export const guardTelemetry = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const tracer = fiber.getRef(Tracer.Tracer)
    const loggers = fiber.getRef(Logger.CurrentLoggers)
    const guardedTracer = tracer === Tracer.nativeTracer ? tracer : guardTracer(tracer)
    const guardedLoggers = guardLoggers(loggers)
    if (guardedTracer === tracer && guardedLoggers === loggers) return effect
    return Effect.updateContext(effect, (context: Context.Context<R>) => {
      const logging = Context.add(context, Logger.CurrentLoggers, guardedLoggers)
      return guardedTracer === tracer ? logging : Context.add(logging, Tracer.Tracer, guardedTracer)
    })
  })
