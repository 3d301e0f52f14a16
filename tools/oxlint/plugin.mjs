const isPublicFile = (filename) =>
  /[\\/]packages[\\/][^\\/]+[\\/]src[\\/]/.test(filename) && !/[\\/](internal|commands)[\\/]/.test(filename) &&
  !/[\\/](index|bin)\.ts$/.test(filename)

const requireJsdoc = {
  meta: { type: "problem", docs: { description: "public exports carry a JSDoc with @category and @since" } },
  create(context) {
    if (!isPublicFile(context.filename ?? context.getFilename())) return {}
    return {
      ExportNamedDeclaration(node) {
        if (node.declaration === null || node.declaration === undefined) return
        const comment = context.sourceCode.getCommentsBefore(node).at(-1)
        const text = comment?.type === "Block" && comment.value.startsWith("*") ? comment.value : ""
        if (text.includes("@internal")) return
        const missing = ["@category", "@since"].filter((tag) => !text.includes(tag))
        if (missing.length > 0) context.report({ node, message: `Public export lacks ${missing.join(" and ")}.` })
      }
    }
  }
}

export default { meta: { name: "local" }, rules: { "require-jsdoc": requireJsdoc } }
