# forecast.R [--horizon=MONTHS]: forecast monthly passengers. Needs base R only.
#
# The model is the seasonal ARIMA(0,1,1)(0,1,1)12 of the logarithms, which Box and Jenkins fitted to this series.
#
# INPUT_FILE        S3 URI of the series: CSV with the columns month (1960-12) and passengers, oldest first
# INPUT_MONTH       the last month of the series, as 1960-12
# OUTPUT_FORECAST   S3 URI of the forecast with 80 % and 95 % prediction intervals (CSV)
# OUTPUT_ACCURACY   S3 URI of the model's accuracy in the last three years (JSON)

stop_because <- function(...) {
  message("passenger-forecast: ", ...)
  quit(status = 1)
}

# s3cp copies between S3 and a file. The image contains the program; on a laptop Go runs it.
s3cp <- function(from, to) {
  program <- if (nzchar(Sys.which("s3cp"))) "s3cp" else c("go", "run", "../s3cp")
  if (system2(program[1], shQuote(c(program[-1], from, to))) != 0) stop_because("cannot copy ", from, " to ", to)
}

read_series <- function(uri, last) {
  file <- tempfile(fileext = ".csv")
  s3cp(uri, file)
  table <- read.csv(file)
  if (!all(c("month", "passengers") %in% names(table))) stop_because(uri, " must have the columns month and passengers")
  if (nrow(table) < 72) stop_because(uri, " has ", nrow(table), " months; the fit and the backtest need at least 72")
  first <- as.integer(strsplit(table$month[1], "-")[[1]])
  series <- ts(table$passengers, start = first, frequency = 12)
  gap <- which(months_of(series) != table$month)
  if (length(gap) > 0) {
    stop_because(uri, " line ", gap[1] + 1, ": the month is ", table$month[gap[1]], "; it must be ", months_of(series)[gap[1]])
  }
  if (tail(table$month, 1) != last) stop_because(uri, " ends with ", tail(table$month, 1), "; it must end with ", last)
  if (!is.numeric(series) || anyNA(series) || any(series <= 0)) stop_because(uri, ": passengers must be numbers above 0")
  series
}

months_of <- function(series) {
  month <- as.integer(round(time(series) * 12))
  sprintf("%04d-%02d", month %/% 12, month %% 12 + 1)
}

airline_model <- function(series) {
  arima(log(series), order = c(0, 1, 1), seasonal = list(order = c(0, 1, 1), period = 12))
}

# The forecast of the logarithm is normally distributed, so that of the passengers is log-normal. Therefore exp() of the mean
# is the median of the passengers, and exp() of a bound of the logarithm is a bound of the passengers.
forecast <- function(series, horizon) {
  ahead <- predict(airline_model(series), n.ahead = horizon)
  bound <- function(probability) round(exp(ahead$pred + qnorm(probability) * ahead$se), 1)
  data.frame(
    month = months_of(ahead$pred), forecast = bound(0.5),
    lower80 = bound(0.1), upper80 = bound(0.9), lower95 = bound(0.025), upper95 = bound(0.975)
  )
}

# backtest forecasts each of the last years from the data before that year. It returns the mean absolute percentage error,
# that of the naive forecast, which repeats the same month of the year before, and the share of months inside the 95 %
# interval. All are in percent.
backtest <- function(series, years = 3) {
  error <- function(predicted, actual) 100 * mean(abs(predicted - actual) / actual)
  folds <- lapply(years:1, function(back) {
    end <- length(series) - 12 * back
    known <- ts(series[1:end], start = start(series), frequency = 12)
    actual <- series[end + 1:12]
    predicted <- forecast(known, 12)
    c(
      mape = error(predicted$forecast, actual), naive_mape = error(series[end + 1:12 - 12], actual),
      inside95 = 100 * mean(actual >= predicted$lower95 & actual <= predicted$upper95)
    )
  })
  round(rowMeans(do.call(cbind, folds)), 2)
}

write_accuracy <- function(file, series, quality, years = 3) {
  form <- paste(
    '{"model": "ARIMA(0,1,1)(0,1,1)12 of logarithms", "from": "%s", "to": "%s", "backtest_years": %d,',
    '"mape": %.2f, "naive_mape": %.2f, "inside_95_percent": %.2f}'
  )
  writeLines(sprintf(
    form, months_of(series)[1], tail(months_of(series), 1), years, quality["mape"], quality["naive_mape"], quality["inside95"]
  ), file)
}

arguments <- commandArgs(trailingOnly = TRUE)
horizon <- suppressWarnings(as.integer(sub("^--horizon=", "", c(arguments, "--horizon=12")[1])))
if (is.na(horizon) || horizon < 1 || horizon > 60) stop_because("--horizon=MONTHS must be from 1 to 60, not ", arguments[1])

series <- read_series(Sys.getenv("INPUT_FILE"), Sys.getenv("INPUT_MONTH"))
quality <- backtest(series)
result <- tempfile(fileext = c(".csv", ".json"))
write.csv(forecast(series, horizon), result[1], row.names = FALSE, quote = FALSE)
write_accuracy(result[2], series, quality)
s3cp(result[1], Sys.getenv("OUTPUT_FORECAST"))
s3cp(result[2], Sys.getenv("OUTPUT_ACCURACY"))
cat(sprintf(
  "passenger-forecast: %d months after %s; in the last 3 years the error was %.2f %% (naive: %.2f %%)\n",
  horizon, tail(months_of(series), 1), quality["mape"], quality["naive_mape"]
))
