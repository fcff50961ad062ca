/// @file
/// The date texts of the protocol: ISO 8601 for the Date header of a request, RFC 7231 dates in Retry-After.
#ifndef BACKENDAI_CODEC_DATE_HPP
#define BACKENDAI_CODEC_DATE_HPP

#include <backendai/version.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

BACKENDAI_NAMESPACE_BEGIN
namespace codec {

/// A point of time as the wall clock gives it, in UTC.
using utc_time = std::chrono::system_clock::time_point;

namespace detail {

struct civil_date {
    std::int64_t year;
    unsigned month, day;
};

// Days since 1970-01-01 to the proleptic Gregorian calendar and back, in 400-year eras that begin on 1 March,
// so that the leap day is the last one of its year. No time zone data base and no locale is involved.
template <class = void>
civil_date civil_from_days(std::int64_t days) {
    days += 719468;
    const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const auto day_of_era = static_cast<unsigned>(days - era * 146097);
    const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned shifted_month = (5 * day_of_year + 2) / 153;
    const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month,
            day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

template <class = void>
std::int64_t days_from_civil(civil_date date) {
    const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const auto year_of_era = static_cast<unsigned>(year - era * 400);
    const unsigned day_of_year = (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
    const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + static_cast<std::int64_t>(day_of_era) - 719468;
}

template <class = void>
void put_digits(std::string& text, std::int64_t value, int width) {
    const std::size_t end = text.size() + static_cast<std::size_t>(width);
    text.resize(end, '0');
    for (std::size_t at = end; width > 0; --width, value /= 10) text[--at] = static_cast<char>('0' + value % 10);
}

struct time_of_day {
    std::int64_t hour, minute, second;
};

// A reader of fixed-width digits; one failure sticks.
class digit_reader {
public:
    explicit digit_reader(std::string_view text) : text_(text) {}
    template <class = void>
    std::int64_t number(std::size_t width) {
        std::int64_t value = 0;
        if (text_.size() < width) return fail();
        for (std::size_t i = 0; i < width; ++i) {
            if (text_[i] < '0' || text_[i] > '9') return fail();
            value = value * 10 + (text_[i] - '0');
        }
        text_.remove_prefix(width);
        return value;
    }
    template <class = void>
    void literal(std::string_view expected) {
        if (text_.substr(0, expected.size()) == expected) {
            text_.remove_prefix(expected.size());
        } else {
            fail();
        }
    }
    /// "09:30:00"
    template <class = void>
    time_of_day clock() {
        time_of_day time{};
        time.hour = number(2);
        literal(":");
        time.minute = number(2);
        literal(":");
        time.second = number(2);
        return time;
    }
    template <class = void>
    std::size_t one_of(const std::array<std::string_view, 12>& words) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (text_.substr(0, words[i].size()) == words[i]) {
                text_.remove_prefix(words[i].size());
                return i;
            }
        }
        return static_cast<std::size_t>(fail());
    }
    bool good() const { return good_; }
    std::string_view rest() const { return text_; }
    void skip(std::size_t count) { text_.remove_prefix(count); }

private:
    std::int64_t fail() {
        good_ = false;
        return 0;
    }
    std::string_view text_;
    bool good_ = true;
};

// Nothing for days and times that do not exist, a leap second apart, and for what the system's clock cannot hold.
template <class = void>
std::optional<utc_time> make_utc(civil_date date, time_of_day time) {
    constexpr std::array<unsigned, 12> month_lengths = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > month_lengths[date.month - 1]) return {};
    const bool leap_year = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    if (date.month == 2 && date.day == 29 && !leap_year) return {};
    if (time.hour > 23 || time.minute > 59 || time.second > 60) return {};
    const std::chrono::seconds since_epoch(days_from_civil(date) * 86400 + time.hour * 3600 + time.minute * 60 +
                                           time.second);
    // Two days off the ends leave room for an offset and a fraction.
    constexpr auto last = std::chrono::duration_cast<std::chrono::seconds>((utc_time::duration::max)());
    constexpr auto limit = last - std::chrono::hours(48);
    if (since_epoch > limit || since_epoch < -limit) return {};
    return utc_time(std::chrono::duration_cast<utc_time::duration>(since_epoch));
}

} // namespace detail

/// "2019-02-14T09:30:00.123456+00:00", the form of the Date header that the official client sends and signs.
template <class = void>
std::string format_date(utc_time time) {
    using namespace std::chrono;
    const std::int64_t micros = duration_cast<microseconds>(time.time_since_epoch()).count();
    std::int64_t seconds = micros / 1000000;
    std::int64_t fraction = micros % 1000000;
    if (fraction < 0) {
        fraction += 1000000;
        --seconds;
    }
    std::int64_t days = seconds / 86400;
    std::int64_t in_day = seconds % 86400;
    if (in_day < 0) {
        in_day += 86400;
        --days;
    }
    const detail::civil_date date = detail::civil_from_days(days);
    std::string text;
    text.reserve(32);
    detail::put_digits(text, date.year, 4);
    text += '-';
    detail::put_digits(text, date.month, 2);
    text += '-';
    detail::put_digits(text, date.day, 2);
    text += 'T';
    detail::put_digits(text, in_day / 3600, 2);
    text += ':';
    detail::put_digits(text, in_day / 60 % 60, 2);
    text += ':';
    detail::put_digits(text, in_day % 60, 2);
    text += '.';
    detail::put_digits(text, fraction, 6);
    text += "+00:00";
    return text;
}

/// Reads an ISO 8601 date and time with an offset ("2019-02-14T09:30:00[.123456]+09:00", or "Z"); nothing when the
/// text has another form.
template <class = void>
std::optional<utc_time> parse_iso_date(std::string_view text) {
    detail::digit_reader in(text);
    const std::int64_t year = in.number(4);
    in.literal("-");
    const auto month = static_cast<unsigned>(in.number(2));
    in.literal("-");
    const auto day = static_cast<unsigned>(in.number(2));
    in.literal("T");
    const detail::time_of_day time = in.clock();
    std::int64_t micros = 0;
    if (in.good() && !in.rest().empty() && in.rest().front() == '.') {
        in.skip(1);
        std::int64_t unit = 100000;
        std::size_t digits = 0;
        for (; !in.rest().empty() && in.rest().front() >= '0' && in.rest().front() <= '9'; ++digits, unit /= 10) {
            micros += unit * (in.rest().front() - '0');
            in.skip(1);
        }
        if (digits == 0) return {};
    }
    std::int64_t offset = 0;
    if (in.good() && in.rest() == "Z") {
        in.skip(1);
    } else if (in.good() && !in.rest().empty() && (in.rest().front() == '+' || in.rest().front() == '-')) {
        const std::int64_t sign = in.rest().front() == '-' ? -1 : 1;
        in.skip(1);
        const std::int64_t hours = in.number(2);
        in.literal(":");
        const std::int64_t minutes = in.number(2);
        if (hours > 23 || minutes > 59) return {};
        offset = sign * (hours * 3600 + minutes * 60);
    } else {
        return {};
    }
    if (!in.good() || !in.rest().empty()) return {};
    const auto whole = detail::make_utc({year, month, day}, time);
    if (!whole) return {};
    return *whole - std::chrono::seconds(offset) +
           std::chrono::duration_cast<utc_time::duration>(std::chrono::microseconds(micros));
}

/// Reads the preferred form of an HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 7231 section 7.1.1.1); nothing when
/// the text has another form.
template <class = void>
std::optional<utc_time> parse_http_date(std::string_view text) {
    static const std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::size_t comma = text.find(", ");
    if (comma != 3) return {};
    detail::digit_reader in(text.substr(comma + 2));
    const auto day = static_cast<unsigned>(in.number(2));
    in.literal(" ");
    const auto month = static_cast<unsigned>(in.one_of(months) + 1);
    in.literal(" ");
    const std::int64_t year = in.number(4);
    in.literal(" ");
    const detail::time_of_day time = in.clock();
    in.literal(" GMT");
    if (!in.good() || !in.rest().empty()) return {};
    return detail::make_utc({year, month, day}, time);
}

} // namespace codec
BACKENDAI_NAMESPACE_END

#endif
