# Reference values of crates/stats from the R package `posterior` (Debian: r-cran-posterior).
# Run: Rscript scripts/posterior_reference.R   (prints rows of crates/stats/src/reference_chains.rs, then the p values)

suppressMessages(library(posterior))
cat("// R", as.character(getRversion()), "posterior", as.character(packageVersion("posterior")), "\n")

# AR(1) chains from the Park-Miller generator and a sum of twelve uniforms: additions and
# multiplications of doubles only, so R and Rust produce the same bits. Returns [n_draws, n_chains].
ar1 <- function(seed, n_chains, n_draws, phi) {
  state <- seed
  x <- matrix(0, n_draws, n_chains)
  for (chain in seq_len(n_chains)) {
    previous <- 0
    for (draw in seq_len(n_draws)) {
      e <- -6
      for (k in 1:12) {
        state <- (16807 * state) %% 2147483647
        e <- e + state / 2147483647
      }
      previous <- phi * previous + e
      x[draw, chain] <- previous
    }
  }
  x
}

shift_first <- function(x) { x[, 1] <- x[, 1] + 2; x }
widen_first <- function(x) { x[, 1] <- x[, 1] * 4; x }

cases <- list(
  slow       = ar1(1, 4, 250, 0.9),
  skewed     = ar1(2, 4, 251, 0.3)^2,
  antithetic = ar1(3, 1, 200, -0.5),
  tied       = floor(2 * ar1(4, 3, 100, 0.5)),
  shifted    = shift_first(ar1(5, 4, 100, 0.5)),
  widened    = widen_first(ar1(6, 2, 41, 0)),
  short      = ar1(7, 2, 12, 0)
)
for (name in names(cases)) {
  x <- cases[[name]]
  values <- c(first = x[1, 1], last = x[nrow(x), ncol(x)],
              ess_mean = ess_mean(x), ess_bulk = ess_bulk(x), ess_tail = ess_tail(x),
              rhat = rhat(x), rhat_basic = rhat_basic(x), mcse_mean = mcse_mean(x))
  cat(name, "\n")
  cat(sprintf("    %s: %.17g,\n", names(values), values), sep = "")
}

cat("// alternating chain, where 1:max_t is 1:0 in posterior:", ess_mean(rep(c(1, -1), 50)), "\n")
cat("// quantile type 7\n")
for (p in c(0, 0.05, 0.3, 0.5, 0.95, 1)) cat(sprintf("(%g, %.17g), ", p, quantile(cases$short, p)))
cat("\n// (t, dof, two-sided p)\n")
for (tdof in list(c(0.5, 31), c(2, 31), c(5.3, 31), c(4.8, 63), c(8, 63), c(30, 63), c(6, 999)))
  cat(sprintf("(%g, %g, %.17g),\n", tdof[1], tdof[2], 2 * pt(tdof[1], tdof[2], lower.tail = FALSE)))
cat("// normal scores of four draws:", sprintf("%.17g", qnorm((1:4 - 3 / 8) / 4.25)), "\n")
