#include <backendai.hpp>

#include <atomic>
#include <iostream>
#include <string>
#include <utility>

// A transport of one's own: anything with this exchange(). This one prints and counts what another one carries.
template <class Inner>
class counting_transport {
public:
    explicit counting_transport(Inner inner) : inner_(std::move(inner)) {}
    counting_transport(counting_transport&& other) : inner_(std::move(other.inner_)), count_(other.count_.load()) {}

    backendai::response_head exchange(backendai::http_request& request, backendai::body_sink& sink,
                                      const backendai::exchange_context& context) {
        ++count_;
        backendai::response_head head = inner_.exchange(request, sink, context);
        std::clog << request.method + ' ' + request.url.path + " -> " + std::to_string(head.status) + '\n';
        return head;
    }

    int count() const { return count_; }

private:
    Inner inner_;
    std::atomic<int> count_{0};
};
