// Looks at a cluster as its administrator: agents, images, sessions, and a key pair from its making to its end.
#include "where.hpp"

int main(int argc, char** argv) {
    try {
        const examples::where place(argc, argv);
        backendai::session session(place.config());

        const auto status = session.manager().status();
        std::cout << "the manager is " << status.status << '\n';
        for (const auto& agent : session.agent().list()) std::cout << "an agent is " << agent["status"] << '\n';

        const auto made = session.keypair().create("someone@example.com");
        const auto keypair = session.keypair(made.access_key);
        keypair.deactivate();
        std::cout << "the new key pair: " << keypair.info({"user_id", "is_active", "rate_limit"}) << '\n';
        keypair.remove();

        std::cout << session.admin().sessions().size() << " sessions are running\n";

        // Any query of the server's schema goes; values belong into variables.
        const auto data =
            session.admin().query("query($status: String) { agents(status: $status) { id } }", {{"status", "ALIVE"}});
        std::cout << data["agents"].size() << " agents are alive\n";
        try {
            session.admin().query("{ keypair { user_idd } }");
        } catch (const backendai::graphql_error& e) {
            for (const auto& problem : e.errors()) std::cout << "refused: " << problem.message << '\n';
        }
        return 0;
    } catch (const backendai::error& e) {
        std::cerr << "error: " << e.what() << '\n';
        return 1;
    }
}
