/// @file
/// Puts the entries of a tar archive into a destination.
#ifndef BACKENDAI_FILES_TAR_EXTRACTOR_HPP
#define BACKENDAI_FILES_TAR_EXTRACTOR_HPP

#include <backendai/codec/decode_error.hpp>
#include <backendai/codec/name_collisions.hpp>
#include <backendai/codec/path_rules.hpp>
#include <backendai/codec/printable.hpp>
#include <backendai/codec/tar_reader.hpp>
#include <backendai/files/destination.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/version.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

BACKENDAI_NAMESPACE_BEGIN
namespace detail {

/// Regular files and directories only. Links are refused, also harmless ones: the archives of this protocol hold the
/// files somebody asked for, and what a link would mean on this side depends on what else is there. So are devices and
/// FIFOs. Throws codec::decode_error that names the entry before anything of it is written; client_error{io}.
template <class = void>
class tar_extractor final : public codec::tar_handler {
public:
    /// @param known the names of the whole transfer, of which this may be one archive among several
    tar_extractor(destination<>& target, codec::path_policy names, codec::name_collisions& known, transfer_meter& meter)
        : target_(target), names_(names), known_(known), meter_(meter) {}

    void on_entry(const codec::tar_entry& entry) override {
        if (entry.type != codec::tar_type::regular && entry.type != codec::tar_type::directory) {
            throw codec::decode_error("archive entry " + codec::printable(entry.name) + " is a " + kind_of(entry.type) +
                                      ", which is not extracted");
        }
        const bool is_directory = entry.type == codec::tar_type::directory;
        const std::vector<std::string> name = codec::safe_relative_path(
            entry.name, is_directory ? codec::root_name::allow : codec::root_name::refuse, names_);
        if (names_ == codec::path_policy::portable) known_.add(name);
        file_metadata metadata;
        metadata.mode = entry.mode & 0777U;
        metadata.modified = {entry.mtime_seconds, entry.mtime_nanoseconds};
        is_file_ = !is_directory;
        if (is_file_) {
            name_ = codec::join_path(name);
            target_.begin_file(name, metadata);
            meter_.add(name_, 0);
        } else if (!name.empty()) {
            target_.make_directory(name, metadata);
        }
    }
    void on_data(std::string_view data) override {
        target_.write(data);
        meter_.add(name_, data.size());
    }
    void on_entry_end() override {
        if (is_file_) target_.end_file();
    }

private:
    static const char* kind_of(codec::tar_type type) {
        switch (type) {
        case codec::tar_type::hard_link: return "hard link";
        case codec::tar_type::symbolic_link: return "symbolic link";
        case codec::tar_type::fifo: return "FIFO";
        default: return "device";
        }
    }

    destination<>& target_;
    codec::path_policy names_;
    codec::name_collisions& known_;
    transfer_meter& meter_;
    std::string name_;
    bool is_file_ = false;
};

} // namespace detail
BACKENDAI_NAMESPACE_END

#endif
