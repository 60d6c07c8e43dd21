// Clusters: cards, and the gallery of one.

const cardKind = {
  measure: cardSize,
  render: (item) => card(item.card),
};

function clusterCard(cluster) {
  return {
    kind: "card",
    card: {
      href: routeHash({ scope: "cluster", id: cluster.id }),
      photos: cluster.members,
      title: clusterName(cluster),
      line: `${photosText(cluster.size)} · cluster ${cluster.id}`,
      size: cluster.size,
      keywords: cluster.keywords.slice(0, 5),
      cluster,
    },
  };
}

function showClusters(parent) {
  const line = clusters.length
    ? `${plural(clusters.length, "group")} of photos that look or read alike, the largest first. ${percent(head.noiseShare)} of the photos are in none.`
    : null;
  parent.append(heading("Clusters", line));
  if (!clusters.length) {
    parent.append(empty("No clusters", count
      ? "No group of photos is alike enough, or there are too few of them."
      : "There are no photos to group.", "clusters"));
    if (!noise.length) return;
  }
  const items = bySize.map(clusterCard);
  if (noise.length) {
    items.push({
      kind: "card",
      card: {
        href: "#cluster=none", photos: noise, title: "In no cluster", size: noise.length,
        line: photosText(noise.length), cluster: null,
      },
    });
  }
  flow(parent, items, { card: cardKind }, "Clusters");
}

/** What the route's scope stands for: photos, a title, a line, keywords; null if it is not there. */
function scopeOf(route) {
  if (route.scope === "cluster") return clusterScope(route.id);
  if (route.scope === "group") return groupScope(route.id);
  if (route.scope === "person") return personScope(route);
  return chunkScope(route.scope, route.id);
}

function clusterScope(id) {
  if (id === "none") {
    return {
      photos: noise, title: "In no cluster", view: "clusters", all: "All clusters",
      line: `${photosText(noise.length)} that resemble no group`, keywords: [],
    };
  }
  const cluster = clusters.find((one) => String(one.id) === id);
  return cluster && {
    photos: cluster.members, title: clusterName(cluster), view: "clusters", all: "All clusters",
    line: `Cluster ${cluster.id} · ${photosText(cluster.size)}, the most typical first`,
    keywords: cluster.keywords, cluster,
  };
}
