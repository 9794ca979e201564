// An app that nobody here wrote: SCIMMY behind express, users in memory. `node server.mjs PORT TOKEN`
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = process.argv.slice(2);
const users = new Map();

const found = (id) => {
    if (!users.has(id)) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
    return users.get(id);
};

SCIMMY.Resources.declare(SCIMMY.Resources.User, {
    ingress(resource, data) {
        const id = resource.id ?? randomUUID();
        const before = resource.id ? found(resource.id) : null;
        const taken = [...users.values()].some((other) => other.id !== id
            && other.userName.toLowerCase() === data.userName.toLowerCase());
        if (taken) throw new SCIMMY.Types.Error(409, "uniqueness", `userName ${data.userName} is taken`);
        const now = new Date();
        const user = {
            ...JSON.parse(JSON.stringify(data)),
            id,
            meta: { created: before?.meta.created ?? now, lastModified: now },
        };
        users.set(id, user);
        return user;
    },
    egress(resource) {
        if (resource.id) return found(resource.id);
        const all = [...users.values()];
        return resource.filter ? resource.filter.match(all) : all;
    },
    degress(resource) {
        found(resource.id);
        users.delete(resource.id);
    },
});

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("wrong token");
        return "rollcall";
    },
}));
app.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${port}`));
