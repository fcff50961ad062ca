/// @file
/// Options of uploads and downloads, for compute sessions and virtual folders alike.
#ifndef BACKENDAI_FILES_TRANSFER_OPTIONS_HPP
#define BACKENDAI_FILES_TRANSFER_OPTIONS_HPP

#include <backendai/codec/path_rules.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// What an upload does with what cannot be sent: sockets, FIFOs, devices, and symbolic links that lead out of the base
/// directory, in a circle, or nowhere.
enum class special_files {
    refuse, ///< client_error{argument} that names it, before anything is sent
    skip    ///< leave it out
};

/// Options of upload().
struct upload_options {
    /// Names on the server are relative to this; empty: the current working directory.
    std::filesystem::path basedir = {};
    progress_callback progress = {};
    special_files special = special_files::refuse;
    /// What a file is called on the server, from the name it would have without this; unset: that one. For two files of
    /// one name client_error{argument} comes before anything is sent.
    std::function<std::string(const std::string&)> rename = {};
};

/// What a download does where a file of that name exists.
enum class existing_files {
    overwrite, ///< replace it when the new one is whole; a symbolic link is replaced, not followed
    skip,      ///< keep it
    fail       ///< client_error{io}; files that exist before the call are found before anything is sent
};

/// Options of download().
struct download_options {
    existing_files existing = existing_files::overwrite;
    progress_callback progress = {};
    /// Which names are acceptable. The default refuses what is special on any system, and names that differ from each
    /// other by case only; `posix` lets colons, `aux.c`, `README` beside `readme` and the like through.
    codec::path_policy names = codec::path_policy::portable;
    /// More decoded bytes than this in one call are an error; 0: as many as the server announces, or without limit
    /// when it announces nothing and compresses nothing.
    std::uint64_t max_bytes = 0;
};

BACKENDAI_NAMESPACE_END

#endif
